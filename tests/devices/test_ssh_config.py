"""The user's ssh configuration: what an alias means, and which hosts are on the way."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from hwaware.devices.address import SshAddress, parse_ssh
from hwaware.devices.ssh_config import route_to
from hwaware.devices.ssh_hop import SshHop
from hwaware.errors import DeviceError
from tests.devices.conftest import Configure


def route(url: str) -> tuple[SshHop, ...]:
    return route_to("board", parse_ssh(url))


def hop(url: str) -> SshHop:
    (only,) = route(url)
    return only


def refusal(url: str) -> str:
    with pytest.raises(DeviceError) as caught:
        route(url)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_alias(configure: Configure, tmp_path: Path) -> None:
    configure(
        """
        Host pi4
            HostName 10.0.0.7
            User pi
            Port 2222
            IdentityFile ~/.ssh/boards
            IdentityFile %d/second
            IdentitiesOnly yes
            HostKeyAlias pi-in-the-lab
            ConnectTimeout 3
        """
    )
    home = tmp_path / "home"
    assert hop("ssh://pi4") == SshHop(
        user="pi",
        host="10.0.0.7",
        port=2222,
        alias="pi4",
        host_key_alias="pi-in-the-lab",
        key_files=(f"{home}/.ssh/boards", f"{home}/second"),
        listed_keys_only=True,
        connect_s=3.0,
    )
    assert hop("ssh://pi4").key_name == "pi-in-the-lab"


def test_what_is_typed_comes_first(configure: Configure) -> None:
    configure("Host pi4\n HostName %h.lan\n User pi\n Port 2222\nMatch user root\n IdentityFile /rootkey\n")
    found = hop("ssh://root@pi4:22")
    assert (found.user, found.port, found.host) == ("root", 22, "pi4.lan")
    assert found.key_files == ("/rootkey",)
    assert found.key_name == "pi4.lan"
    assert hop("ssh://pi4").key_name == "[pi4.lan]:2222"


@pytest.mark.parametrize("url", ["ssh://pi4", "ssh://root@pi4:22", "ssh://[fe80::1%eth0]:7", "ssh://10.0.0.7"])
def test_a_url_that_leads_the_same_way(configure: Configure, url: str) -> None:
    configure("Host pi4\n HostName %h.lan\n User pi\n Port 2222\n IdentityFile /key\n")
    assert route(hop(url).url) == route(url)


def test_without_a_user_anywhere_it_is_that_of_the_login(configure: Configure) -> None:
    configure("")
    assert hop("ssh://board") == SshHop("ann", "board", 22, alias="board")


def test_a_user_that_nothing_gives_is_missing(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure("")

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert "bad device URL 'ssh://board:7': the user is missing" in refusal("ssh://board:7")
    assert hop("ssh://pi@board").user == "pi"


def test_a_name_with_capitals_is_found(configure: Configure) -> None:
    configure("Host Pi4\n User pi\nMatch originalhost Lab\n User lab\n")
    assert hop("ssh://Pi4").user == "pi"
    assert hop("ssh://lab").user == "lab"


def test_the_key_of_the_device_takes_the_place_of_others(configure: Configure, tmp_path: Path) -> None:
    configure("Host *\n IdentityFile /other\nHost pi4\n ProxyJump gate\n")
    key = tmp_path / "key"
    key.touch()
    gate, pi4 = route_to("board", SshAddress("pi", "pi4"), str(key))
    assert (pi4.key_files, pi4.listed_keys_only) == ((str(key),), True)
    assert (gate.key_files, gate.listed_keys_only) == (("/other",), False)
    with pytest.raises(DeviceError, match="nokey does not exist; name another with `hwaware devices add board"):
        route_to("board", SshAddress("pi", "pi4"), str(tmp_path / "nokey"))


def test_no_identity_file_is_none_at_all(configure: Configure) -> None:
    configure("Host pi4\n IdentityFile none\n")
    assert hop("ssh://pi4").key_files == ()
    assert hop("ssh://pi5").key_files is None


def test_jump_hosts_in_their_order(configure: Configure) -> None:
    configure(
        """
        Host pi4
            ProxyJump gate,root@10.0.0.2:2200
        Host gate
            User ann
            HostName gate.example.org
            ProxyJump ssh://front:222
        Host 10.0.0.2
            ProxyJump nowhere
            ProxyCommand false
        Host front
            User frank
            ProxyCommand nc %h %p
        """
    )
    hops = route("ssh://pi@pi4")
    assert [one.login for one in hops] == [
        "frank@front:222",
        "ann@gate.example.org:22",
        "root@10.0.0.2:2200",
        "pi@pi4:22",
    ]
    assert [one.is_jump for one in hops] == [True, True, True, False]
    assert [one.proxy_command for one in hops] == ["nc front 222", None, None, None]
    assert str(hops[1]) == "jump host ann@gate.example.org:22"


@pytest.mark.parametrize(
    ("settings", "jumps", "command"),
    [
        ("ProxyJump none\n ProxyJump gate", 0, None),
        ("ProxyCommand none\n ProxyJump gate", 0, None),
        ("ProxyCommand nc %h 1\n ProxyJump gate", 0, "nc pi4 1"),
        ("ProxyJump gate\n ProxyCommand nc %h 1", 1, None),
    ],
)
def test_of_a_jump_and_a_command_the_first_decides(
    configure: Configure, settings: str, jumps: int, command: str | None
) -> None:
    configure(f"Host pi4\n {settings}\n")
    hops = route("ssh://pi@pi4")
    assert (len(hops) - 1, hops[-1].proxy_command) == (jumps, command)


@pytest.mark.parametrize("text", ["Host *\n ProxyJump gate\n", "Host a\n ProxyJump b\nHost b\n ProxyJump a\n"])
def test_jumps_in_a_circle(configure: Configure, text: str) -> None:
    path = configure(text)
    message = refusal("ssh://a")
    assert f"the jump hosts in {path} go round in a circle" in message
    assert "ProxyJump none" in message


def test_jumps_without_end(configure: Configure) -> None:
    configure("Host *\n ProxyJump x%h\n")
    assert "go round in a circle" in refusal("ssh://a")


def test_a_percent_sign(configure: Configure) -> None:
    configure("Host pi4\n ProxyCommand run %%h %h 100%%\n IdentityFile /keys/%%d/%r\n User pi\n")
    found = hop("ssh://pi4")
    assert found.proxy_command == "run %h pi4 100%"
    assert found.key_files == ("/keys/%d/pi",)


@pytest.mark.parametrize(
    ("value", "agent"),
    [
        ("none", ""),
        ("SSH_AUTH_SOCK", None),
        ("$MY_AGENT", "/run/mine"),
        ("$NO_SUCH_AGENT", ""),
        ("/run/a b", "/run/a b"),
        ("~/.1password/agent.sock", "HOME/.1password/agent.sock"),
    ],
)
def test_another_agent(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, agent: str | None
) -> None:
    monkeypatch.setenv("MY_AGENT", "/run/mine")
    configure(f"Host pi4\n IdentityAgent {value}\n")
    assert hop("ssh://pi4").agent == (agent and agent.replace("HOME", str(tmp_path / "home")))
    assert hop("ssh://pi5").agent is None
