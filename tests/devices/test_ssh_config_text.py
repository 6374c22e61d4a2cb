"""The text of ssh configurations: files in files, conditions, what is malformed, and that reading it runs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwaware.devices import ssh_config_text
from tests.devices.conftest import Configure
from tests.devices.test_ssh_config import hop, refusal


def test_included_files_stand_where_they_are_named(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "home/.ssh/conf.d").mkdir(parents=True)
    (tmp_path / "home/.ssh/conf.d/boards").write_text("Host pi4\n User pi\n Port 7\n")
    (tmp_path / "more").write_text("User deep\n")
    configure(f"Include conf.d/* no/such/file\nUser everybody\nHost pi5\n Include {tmp_path}/more\n Port 9\n")
    assert (hop("ssh://pi4").user, hop("ssh://pi4").port) == ("pi", 7)
    assert (hop("ssh://pi5").user, hop("ssh://pi5").port) == ("everybody", 9)
    configure(f"Host pi5\n Include {tmp_path}/more\n Port 9\nHost *\n User everybody\n")
    assert (hop("ssh://pi5").user, hop("ssh://pi5").port) == ("deep", 9)
    assert hop("ssh://pi6").user == "everybody"


def test_blocks_included_for_some_hosts_only_are_refused(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("Host pi4\n User pi\n")
    configure(f"Host pi*\n Include {tmp_path}/more\n")
    assert "included for some hosts only" in refusal("ssh://pi4")


def test_files_that_include_themselves(configure: Configure, tmp_path: Path) -> None:
    configure(f'Include "{tmp_path}/ssh config"\n')
    assert "include one another without end" in refusal("ssh://pi4")


CONDITIONAL = """
Host settled
    User pi
    ProxyJump none
Match {condition}
    User vpn
    ProxyCommand false
    ForwardAgent yes
Match all
    Port 7
"""


@pytest.mark.parametrize("condition", ["exec", "!exec", "host pi4 exec", "Host=pi4 EXEC"])
def test_the_command_of_a_match_is_never_run(configure: Configure, tmp_path: Path, condition: str) -> None:
    configure(CONDITIONAL.format(condition=f'{condition} "touch {tmp_path}/ran"'))
    message = refusal("ssh://pi4")
    assert "`Match`" in message
    assert "Host pi4" in message
    assert hop("ssh://settled").port == 7
    assert not (tmp_path / "ran").exists()


def test_a_command_that_concerns_other_hosts_is_no_obstacle(configure: Configure, tmp_path: Path) -> None:
    text = CONDITIONAL.format(condition=f'host work exec "touch {tmp_path}/ran"')
    configure(text + f'Match exec "touch {tmp_path}/ran"\n ForwardAgent yes\n')
    assert (hop("ssh://pi4").user, hop("ssh://pi4").port) == ("ann", 7)
    assert "proxycommand of work" in refusal("ssh://work")
    assert not (tmp_path / "ran").exists()


def test_a_condition_unknown_here_is_not_taken_for_met(configure: Configure) -> None:
    configure("Match tagged lab\n HostName evil.example.org\nMatch host pi5\n User pi\n")
    assert "hostname of pi4" in refusal("ssh://pi4")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Host pi4\n HostName\n", "`HostName` is no setting"),
        ("nonsense\n", "`nonsense` is no setting"),
        ('Match host "pi4\n', "No closing quotation"),
        ('Host "pi4\n', "Unparsable host"),
        ("Match host\n", "host has no value"),
        ("Port many\n", "'many' is not a number from 1 to 65535"),
        ("HostName -oProxyCommand=id\n", "is not a host name"),
        ("User a b\n", "is not a login name"),
        ("ProxyJump a b\n", "ProxyJump a b: bad device URL"),
        ("ProxyJump a,,b\n", "is not a host name"),
        ("ConnectTimeout soon\n", "`connecttimeout soon` is not understood"),
        ("HostKeyAlias a,b\n", "`hostkeyalias a,b` is not understood"),
        ("CanonicalizeHostname yes\n", "canonicaldomains"),
    ],
)
def test_a_malformed_file_is_one_clear_line(configure: Configure, text: str, said: str) -> None:
    path = configure(text)
    message = refusal("ssh://pi4")
    assert said in message
    assert f"cannot use the ssh configuration {path}: " in message
    assert "HWAWARE_SSH_CONFIG" in message


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HWAWARE_SSH_CONFIG", str(tmp_path / "none"))
    assert "No such file" in refusal("ssh://pi4")


def test_the_usual_file(configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HWAWARE_SSH_CONFIG")
    assert hop("ssh://pi4").user == "ann"
    usual = tmp_path / "home/.ssh/config"
    usual.parent.mkdir(parents=True)
    usual.write_text("Host pi4\n User pi\n")
    usual.chmod(0o600)
    assert hop("ssh://pi4").user == "pi"
    usual.chmod(0o622)
    assert "others may write" in refusal("ssh://pi4")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The system's configuration, still absent, beside no user's."""
    monkeypatch.delenv("HWAWARE_SSH_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "etc/ssh_config"
    path.parent.mkdir()
    monkeypatch.setattr(ssh_config_text, "SYSTEM", path)
    return path


def test_the_system_comes_after_the_user(system: Path, tmp_path: Path) -> None:
    (system.parent / "conf.d").mkdir()
    # As on Fedora.
    (system.parent / "conf.d/50-redhat.conf").write_text("Match final all\n ForwardX11Trusted yes\n Port 8\n")
    system.write_text("Include conf.d/*.conf\nUser lab\nHost pi4\n HostName 10.0.0.4\n Port 7\n")
    assert (hop("ssh://pi4").login, hop("ssh://pi5").login) == ("lab@10.0.0.4:7", "lab@pi5:8")
    usual = tmp_path / "home/.ssh/config"
    usual.parent.mkdir(parents=True)
    usual.write_text("Host pi4\n User pi\n")
    usual.chmod(0o600)
    assert (hop("ssh://pi4").login, hop("ssh://pi5").login) == ("pi@10.0.0.4:7", "lab@pi5:8")


def test_a_system_that_cannot_be_followed_is_named(system: Path) -> None:
    system.write_text("nonsense\n")
    assert f"cannot use the ssh configuration {system}: `nonsense`" in refusal("ssh://pi4")


def test_a_file_that_is_named_stands_alone(system: Path, configure: Configure) -> None:
    system.write_text("User lab\n")
    path = configure("Host pi4\n Port 7\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWAWARE_SSH_CONFIG", str(path))
        assert hop("ssh://pi4").login == "ann@pi4:7"
