"""Logging in where keys are not enough: passwords, codes and passphrases, asked for at most three times."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from hwaware.devices.address import SshAddress
from hwaware.devices.host_keys import store_host_key
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.devices.ssh import SshLink
from hwaware.devices.ssh_connect import fetch_host_key
from hwaware.devices.ssh_limits import Timeouts
from hwaware.errors import DeviceError
from tests.devices.asking_server import CODE, WORD, AskingServer, asking_server
from tests.devices.conftest import trust
from tests.requirements import need
from tests.sshd import Sshd

Start = Callable[..., Sshd]


class Typed:
    """Somebody at a terminal who gives these answers in turn; `asked` is what was asked, and whether hidden."""

    def __init__(self, *answers: str) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._answers = list(answers)

    def __call__(self, question: str, *, hidden: bool) -> str:
        self.asked.append((question, hidden))
        return self._answers.pop(0)


@pytest.fixture(autouse=True)
def nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal, no agent, no keys in ~/.ssh."""
    monkeypatch.setattr("hwaware.devices.ssh.terminal", lambda: None)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def link(server: AskingServer, folder: Path, typed: Typed | None, key_file: Path | None = None) -> SshLink:
    known_hosts = folder / "known_hosts"
    store_host_key(known_hosts, server.hop.key_name, fetch_host_key("board", server.hop, Timeouts()))
    key = None if key_file is None else str(key_file)
    address = SshAddress("pi", "127.0.0.1", server.port)
    return SshLink("board", address, key_file=key, known_hosts=known_hosts, ask=typed)


def works(connected: SshLink) -> bool:
    try:
        return connected.run(["echo", "in"], timeout=20).stdout == "in\n"
    finally:
        connected.close()


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    with asking_server("password", "keyboard-interactive") as server:
        typed = Typed(WORD)
        assert works(link(server, tmp_path, typed))
        assert typed.asked == [(f"password of {server.hop.login}: ", True)]


def test_a_wrong_password_is_asked_for_again(tmp_path: Path) -> None:
    with asking_server("password") as server:
        assert works(link(server, tmp_path, Typed("no", "neither", WORD)))
        assert server.tried == ["no", "neither", WORD]


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_after_three_tries_it_is_over(tmp_path: Path, method: str) -> None:
    with asking_server(method, questions=(("Password: ", False),)) as server:
        typed = Typed("a", "b", "c", WORD)
        with pytest.raises(DeviceError, match=r"did not accept .* and no password in 3 tries; install one with"):
            link(server, tmp_path, typed)
        assert server.tried == ["a", "b", "c"]


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_without_a_terminal_nothing_is_asked(tmp_path: Path, method: str) -> None:
    with asking_server(method) as server:
        with pytest.raises(DeviceError, match="or run this on a terminal to be asked for the password"):
            link(server, tmp_path, None)
        assert server.tried == []


def test_the_questions_of_the_server_are_passed_on(tmp_path: Path) -> None:
    with asking_server("keyboard-interactive") as server:
        typed = Typed(WORD, CODE)
        assert works(link(server, tmp_path, typed))
        who = f"({server.hop.login}) Two steps."
        assert typed.asked == [(f"{who} Password: ", True), (f"{who} Code: ", False)]


def test_a_question_cannot_control_the_terminal(tmp_path: Path) -> None:
    with asking_server("keyboard-interactive", questions=(("\x1b[2JSay\r\nit: ", False), ("\x07Code", True))) as server:
        typed = Typed(WORD, CODE)
        assert works(link(server, tmp_path, typed))
        assert all(question.isprintable() for question, _ in typed.asked)


def test_a_key_and_then_a_code(tmp_path: Path) -> None:
    key = _new_key(tmp_path / "key")
    public = paramiko.Ed25519Key.from_private_key_file(str(key))
    with asking_server("keyboard-interactive", key=public) as server:
        assert works(link(server, tmp_path, Typed(WORD, CODE), key))
        with pytest.raises(DeviceError, match=r"did not accept the key .*run this on a terminal"):
            link(server, tmp_path, None, key)


def test_ctrl_c_at_a_question_ends_the_login(tmp_path: Path) -> None:
    def interrupted(question: str, *, hidden: bool) -> str:
        raise KeyboardInterrupt

    for method in ("password", "keyboard-interactive"):
        with asking_server(method) as server:
            with pytest.raises(KeyboardInterrupt):
                link(server, tmp_path, interrupted)  # type: ignore[arg-type]
            assert server.tried == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


@pytest.fixture
def locked(start: Start, tmp_path: Path) -> tuple[Sshd, Path, SshAddress]:
    """A real server that takes one key, which has a passphrase."""
    server = start()
    key = _new_key(tmp_path / "locked", WORD)
    (server.folder / "authorized_keys").write_bytes(key.with_name("locked.pub").read_bytes())
    trust(server, tmp_path / "known_hosts")
    return server, key, SshAddress(server.user, "127.0.0.1", server.port)


def test_a_passphrase_is_asked_for(locked: tuple[Sshd, Path, SshAddress], tmp_path: Path) -> None:
    _, key, address = locked
    typed = Typed("no", WORD)
    assert works(SshLink("board", address, key_file=str(key), known_hosts=tmp_path / "known_hosts", ask=typed))
    assert typed.asked == [(f"passphrase of the key {key} (none: go on without it): ", True)] * 2


@pytest.mark.parametrize("answers", [("a", "b", "c"), ("",)])
def test_a_passphrase_that_is_not_known(
    locked: tuple[Sshd, Path, SshAddress], tmp_path: Path, answers: tuple[str, ...]
) -> None:
    _, key, address = locked
    typed = Typed(*answers)
    with pytest.raises(DeviceError, match=f"did not accept the key {key}"):
        SshLink("board", address, key_file=str(key), known_hosts=tmp_path / "known_hosts", ask=typed)
    assert len(typed.asked) == len(answers)


@pytest.fixture
def ssh_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real ssh-agent, empty."""
    where = tmp_path / "agent"
    program = need("ssh-agent", package="openssh-client")
    agent = subprocess.Popen([program, "-D", "-a", str(where)], stdout=subprocess.DEVNULL)
    while not where.exists():
        assert agent.poll() is None
    monkeypatch.setenv("SSH_AUTH_SOCK", str(where))
    yield
    agent.terminate()
    agent.wait(10)


def test_a_locked_key_that_the_agent_holds_is_not_asked_for(start: Start, tmp_path: Path, ssh_agent: None) -> None:
    server, key = start(), tmp_path / "boards"
    for suffix in ("", ".pub"):
        Path(f"{key}{suffix}").write_bytes(Path(f"{server.key_file}{suffix}").read_bytes())
    key.chmod(0o600)
    others = [_new_key(tmp_path / f"other{number}") for number in range(8)]
    subprocess.run(["ssh-add", "-q", *map(str, others), str(key)], check=True)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", WORD, "-f", str(key)], check=True)
    trust(server, tmp_path / "known_hosts")
    typed = Typed()
    # Of nine keys in the agent only the named one is offered: the server ends a login after six.
    address = SshAddress(server.user, "127.0.0.1", server.port)
    assert works(SshLink("board", address, key_file=str(key), known_hosts=tmp_path / "known_hosts", ask=typed))
    with pytest.raises(DeviceError, match=r"the login to .* broke off: .*name the right one with"):
        SshLink("board", address, key_file=None, known_hosts=tmp_path / "known_hosts", ask=typed)
    assert typed.asked == []


def test_the_agent_that_the_configuration_names(
    start: Start, tmp_path: Path, ssh_agent: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    subprocess.run(["ssh-add", "-q", str(server.key_file)], check=True)
    trust(server, tmp_path / "known_hosts")
    address = SshAddress(server.user, "127.0.0.1", server.port)
    monkeypatch.setenv("HOME", str(tmp_path))
    config = tmp_path / "config"
    monkeypatch.setenv("HWAWARE_SSH_CONFIG", str(config))
    config.write_text(f"IdentityAgent {os.environ['SSH_AUTH_SOCK']}\n")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "dangling"))
    assert works(SshLink("board", address, key_file=None, known_hosts=tmp_path / "known_hosts"))
    for other in ("none", f"{tmp_path}/no-agent", str(config)):
        config.write_text(f"IdentityAgent {other}\n")
        with pytest.raises(DeviceError, match="did not accept a key"):
            SshLink("board", address, key_file=None, known_hosts=tmp_path / "known_hosts")


def test_on_a_real_terminal(devices_home: Path, tmp_path: Path) -> None:
    setsid = need("setsid", package="util-linux")
    script = "import sys; from hwaware.cli import main; sys.exit(main(['devices', 'clean', 'board']))"
    with asking_server("password") as server:
        inventory = Inventory()
        inventory.add(DeviceEntry("board", f"ssh://pi@127.0.0.1:{server.port}"))
        store_host_key(inventory.known_hosts, server.hop.key_name, fetch_host_key("board", server.hop, Timeouts()))
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [setsid, "--ctty", sys.executable, "-c", script],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        shown = b""
        while b": " not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, WORD.encode() + b"\n")
        out, err = process.communicate(timeout=60)
        os.close(ours)
    assert process.returncode == 0, err
    assert b"removed 0 uploads" in out
    assert f"password of pi@127.0.0.1:{server.port}: ".encode() in shown
    assert server.tried == [WORD]


def _new_key(path: Path, passphrase: str = "") -> Path:
    program = need("ssh-keygen", package="openssh-client")
    subprocess.run([program, "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)], check=True)
    return path
