"""Everything that can be wrong before the first command: keys, hosts, servers that say nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hwaware.devices.address import SshAddress
from hwaware.devices.host_keys import store_host_key, trusted_key
from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.ssh import SshLink
from hwaware.devices.ssh_connect import fetch_host_key
from hwaware.devices.ssh_hop import SshHop
from hwaware.devices.ssh_limits import Timeouts
from hwaware.devices.transport import Transport
from hwaware.errors import DeviceError, HostKeyError
from tests.devices.conftest import hop_of, ssh_link
from tests.requirements import need
from tests.sshd import Sshd

SHORT = Timeouts(connect=1.0, banner=1.0, auth=1.0, channel=1.0, transfer=1.0)


def _address(server: Sshd) -> SshAddress:
    return SshAddress(server.user, "127.0.0.1", server.port)


def _link(server: Sshd, known_hosts: Path, key_file: Path | None = None) -> SshLink:
    key = str(key_file or server.key_file)
    return SshLink("board", _address(server), key_file=key, known_hosts=known_hosts)


def test_an_unknown_host_key_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    with pytest.raises(HostKeyError) as caught:
        _link(sshd, known_hosts)
    message = str(caught.value)
    assert sshd.fingerprint in message
    assert "`hwaware devices trust board`" in message
    assert not known_hosts.exists()


def test_the_fetched_key_is_the_one_openssh_prints(sshd: Sshd) -> None:
    assert fetch_host_key("board", hop_of(sshd), Timeouts()).fingerprint == sshd.fingerprint


def test_a_changed_host_key_is_refused(start: Callable[..., Sshd], tmp_path: Path) -> None:
    server = start()
    ssh_link(server, tmp_path).close()
    trusted = server.fingerprint
    server.replace_host_key()
    assert server.fingerprint != trusted
    with pytest.raises(HostKeyError) as caught:
        _link(server, tmp_path / "known_hosts")
    message = str(caught.value)
    assert trusted in message
    assert server.fingerprint in message
    assert "has changed" in message
    assert "--replace" in message


def test_the_key_of_another_host_does_not_count(sshd: Sshd, tmp_path: Path) -> None:
    key = fetch_host_key("board", hop_of(sshd), Timeouts())
    store_host_key(tmp_path / "known_hosts", SshHop(sshd.user, "127.0.0.1", sshd.port + 1).key_name, key)
    with pytest.raises(HostKeyError, match="not trusted yet"):
        _link(sshd, tmp_path / "known_hosts")


def test_storing_one_key_keeps_the_others(sshd: Sshd, tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    key = fetch_host_key("board", hop_of(sshd), Timeouts())
    one, two = SshHop("a", "one").key_name, SshHop("a", "::1", 2222).key_name
    for name in (one, two, one):
        store_host_key(path, name, key)
    assert len(path.read_text().splitlines()) == 2
    store_host_key(path, one, None)
    assert trusted_key(path, one) is None
    assert trusted_key(path, two) == key


@pytest.mark.parametrize("content", [b"host ssh-ed25519 AAAA!!\n", b"\xff\xfe\n", b"host ssh-ed25519 AAAA\n"])
def test_a_corrupt_known_hosts_file_trusts_nobody(sshd: Sshd, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "known_hosts"
    path.write_bytes(content)
    with pytest.raises(HostKeyError) as caught:
        _link(sshd, path)
    assert "\n" not in str(caught.value)


def test_a_device_that_is_down(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = SshAddress("pi", "127.0.0.1", port)
    with pytest.raises(DeviceError, match=rf"cannot connect to pi@127\.0\.0\.1:{port}: Connection refused; check"):
        SshLink("board", address, key_file=None, known_hosts=tmp_path / "k")


def test_a_host_name_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"the host name no-such-board\.invalid is unknown"):
        SshLink("board", SshAddress("pi", "no-such-board.invalid"), key_file=None, known_hosts=tmp_path / "k")


@contextmanager
def _server(answer: Callable[[socket.socket], None]) -> Iterator[SshAddress]:
    """A TCP server that treats each connection with `answer` and keeps it open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                accepted.append(connection)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield SshAddress("pi", "127.0.0.1", listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in accepted:
                connection.close()


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-silent\r\n"])
def test_a_server_that_falls_silent_is_a_time_out(tmp_path: Path, said: bytes) -> None:
    with _server(lambda connection: connection.sendall(said)) as address:
        with pytest.raises(DeviceTimeoutError, match=r"device board: the SSH handshake with pi@.* more than 1 s"):
            SshLink("board", address, key_file=None, known_hosts=tmp_path / "k", timeouts=SHORT)
        with pytest.raises(DeviceTimeoutError, match="SSH handshake"):
            fetch_host_key("board", SshHop("pi", address.host, address.port or 0), SHORT)


def test_a_server_of_another_kind_is_named(tmp_path: Path) -> None:
    def http(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.shutdown(socket.SHUT_RDWR)

    with (
        _server(http) as address,
        pytest.raises(DeviceError, match=r"handshake with .* failed: .*SSH server"),
    ):
        SshLink("board", address, key_file=None, known_hosts=tmp_path / "k", timeouts=SHORT)


def test_a_host_that_never_answers_is_a_connect_time_out(tmp_path: Path) -> None:
    # A listener whose queue is full drops further connection attempts.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = SshAddress("pi", "127.0.0.1", listener.getsockname()[1])
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", address.port))
        with pytest.raises(DeviceTimeoutError, match=r"device board: connecting to pi@.* more than 1 s; check"):
            SshLink("board", address, key_file=None, known_hosts=tmp_path / "k", timeouts=SHORT)
        for client in waiting:
            client.close()


def test_a_key_the_server_does_not_know(sshd: Sshd, tmp_path: Path) -> None:
    ssh_link(sshd, tmp_path).close()
    other = _new_key(tmp_path / "other")
    with pytest.raises(DeviceError, match=rf"did not accept the key {other}; install one with `ssh-copy-id"):
        _link(sshd, tmp_path / "known_hosts", other)


def test_a_key_with_a_passphrase(sshd: Sshd, tmp_path: Path) -> None:
    ssh_link(sshd, tmp_path).close()
    with pytest.raises(DeviceError, match="has a passphrase; load it with `ssh-add`"):
        _link(sshd, tmp_path / "known_hosts", _new_key(tmp_path / "locked", "secret"))


@pytest.mark.parametrize("content", [None, "this is no key\n"])
def test_a_key_file_that_is_none(sshd: Sshd, tmp_path: Path, content: str | None) -> None:
    ssh_link(sshd, tmp_path).close()
    key = tmp_path / "nothing"
    if content is not None:
        key.write_text(content)
    with pytest.raises(DeviceError, match="nothing"):
        _link(sshd, tmp_path / "known_hosts", key)


def test_the_ssh_agent_is_asked(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh_link(sshd, tmp_path).close()
    where = tmp_path / "agent"
    agent = subprocess.Popen(
        [need("ssh-agent", package="openssh-client"), "-D", "-a", str(where)], stdout=subprocess.DEVNULL
    )
    try:
        while not where.exists():
            assert agent.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(where))
        monkeypatch.setenv("HOME", str(tmp_path))  # no keys in ~/.ssh
        subprocess.run(["ssh-add", "-q", str(sshd.key_file)], check=True)
        link = SshLink("board", _address(sshd), key_file=None, known_hosts=tmp_path / "known_hosts")
        assert link.run(["echo", "in"], timeout=20).stdout == "in\n"
        link.close()
    finally:
        agent.terminate()
        agent.wait(10)


def test_a_login_shell_that_runs_nothing(start: Callable[..., Sshd], tmp_path: Path) -> None:
    server = start()
    with (server.folder / "config").open("a") as config:
        config.write('ForceCommand echo "This account is closed."; exit 1\n')
    server.replace_host_key()
    link = ssh_link(server, tmp_path)
    with pytest.raises(DeviceError, match=r"did not run the command \(exit 1, it said: This account is closed\.\)"):
        link.run(["true"], timeout=20)
    link.close()


def test_a_connection_that_breaks_names_the_command(start: Callable[..., Sshd], tmp_path: Path) -> None:
    server = start()
    link = ssh_link(server, tmp_path)
    timer = threading.Timer(0.7, server.stop)
    timer.start()
    with pytest.raises(DeviceError, match="the connection was lost during the command sleep"):
        link.run(["sleep", "30"], timeout=20)
    timer.join()
    with pytest.raises(DeviceError, match=r"device board: .*connection was lost"):
        link.run(["true"], timeout=20)
    link.close()


def _hang(server: Sshd) -> None:
    """Stop the processes that serve the connections: the network still stands, nobody answers."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    assert children
    for pid in children:
        os.kill(int(pid), signal.SIGSTOP)


def test_a_server_that_hangs_is_a_time_out(start: Callable[..., Sshd], tmp_path: Path) -> None:
    server = start()
    link = ssh_link(server, tmp_path, SHORT)
    _hang(server)
    with pytest.raises(DeviceTimeoutError, match="device board: the command true took more than 1 s; check"):
        link.run(["true"], timeout=20)
    with pytest.raises(DeviceTimeoutError, match="device board: the upload of known_hosts took more than 1 s"):
        link.send(tmp_path / "known_hosts", str(tmp_path / "there"))
    link.close()


@pytest.mark.parametrize("sftp", [True, False])
def test_an_upload_that_stalls_is_a_time_out(start: Callable[..., Sshd], tmp_path: Path, sftp: bool) -> None:
    server = start(sftp=sftp)
    transport = Transport(ssh_link(server, tmp_path, SHORT), (str(tmp_path / "cache"),))
    big = tmp_path / "big"
    big.write_bytes(os.urandom(1 << 20) * 64)

    def hang_in_the_middle() -> None:
        while not any(part.stat().st_size > 1 << 20 for part in (tmp_path / "cache").rglob(".part-*")):
            time.sleep(0.002)
        _hang(server)

    thread = threading.Thread(target=hang_in_the_middle)
    thread.start()
    with pytest.raises(DeviceTimeoutError, match="device board: the upload of big took more than 1 s") as caught:
        transport.push(big)
    thread.join()
    assert "may be left on board" in caught.value.__notes__[0]
    transport.close()


def test_closing_twice_is_fine(sshd: Sshd, tmp_path: Path) -> None:
    link = ssh_link(sshd, tmp_path)
    link.close()
    link.close()


def _new_key(path: Path, passphrase: str = "") -> Path:
    program = need("ssh-keygen", package="openssh-client")
    subprocess.run([program, "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)], check=True)
    return path
