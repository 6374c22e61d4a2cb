"""Boards behind jump hosts: real SSH servers, one reached through the other, each with a key of its own to trust."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.devices.address import SshAddress
from hwaware.devices.host_keys import trusted_key
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.devices.ssh import SshLink
from hwaware.devices.ssh_limits import Timeouts
from hwaware.errors import DeviceError, HostKeyError
from tests.devices.conftest import hop_of, trust
from tests.sshd import Sshd

# What a ProxyCommand like `nc HOST PORT` does, without its many dialects.
RELAY = """
import os, socket, sys, threading
stream = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def pour():
    while data := os.read(0, 65536):
        stream.sendall(data)
    stream.shutdown(socket.SHUT_WR)
threading.Thread(target=pour, daemon=True).start()
while data := stream.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def gate(start: Callable[..., Sshd]) -> Sshd:
    """The jump host."""
    return start()


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ssh_config"
    path.touch()
    monkeypatch.setenv("HWAWARE_SSH_CONFIG", str(path))
    return path


def host(alias: str, server: Sshd, *more: str) -> str:
    """A block that makes `alias` mean `server`."""
    where = ("HostName 127.0.0.1", f"Port {server.port}", f"User {server.user}")
    lines = (*where, f"IdentityFile {server.key_file}", "IdentitiesOnly yes", *more)
    return f"Host {alias}\n" + "".join(f"    {line}\n" for line in lines)


def link(known_hosts: Path, timeouts: Timeouts | None = None) -> SshLink:
    return SshLink("board", SshAddress(None, "pi4"), key_file=None, known_hosts=known_hosts, timeouts=timeouts)


def test_an_alias_alone_is_enough(sshd: Sshd, configuration: Path, tmp_path: Path) -> None:
    configuration.write_text(host("pi4", sshd))
    trust(sshd, tmp_path / "known_hosts")
    connected = link(tmp_path / "known_hosts")
    assert connected.run(["echo", "in"], timeout=20).stdout == "in\n"
    connected.close()


def test_commands_and_files_go_through_the_jump_host(
    sshd: Sshd, gate: Sshd, configuration: Path, tmp_path: Path
) -> None:
    configuration.write_text(host("gate", gate) + host("pi4", sshd, "ProxyJump gate"))
    for server in (gate, sshd):
        trust(server, tmp_path / "known_hosts")
    connected = link(tmp_path / "known_hosts")
    # The board's sshd sees the jump host's address, the jump host's HOME is another one.
    assert connected.run(["sh", "-c", "echo $HOME"], timeout=20).stdout == f"{sshd.home}\n"
    big = tmp_path / "big"
    big.write_bytes(bytes(range(256)) * 10_000)
    connected.send(big, str(tmp_path / "there"))
    connected.receive(str(tmp_path / "there"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
    connected.close()
    connected.close()


def test_a_chain_of_jump_hosts(
    sshd: Sshd, gate: Sshd, start: Callable[..., Sshd], configuration: Path, tmp_path: Path
) -> None:
    second = start()
    jumps = f"gate,{second.user}@second:{second.port}"
    configuration.write_text(host("gate", gate) + host("second", second) + host("pi4", sshd, f"ProxyJump {jumps}"))
    for server in (gate, second, sshd):
        trust(server, tmp_path / "known_hosts")
    connected = link(tmp_path / "known_hosts")
    assert connected.run(["echo", "in"], timeout=20).stdout == "in\n"
    connected.close()


def test_the_unknown_key_of_a_jump_host_is_refused(sshd: Sshd, gate: Sshd, configuration: Path, tmp_path: Path) -> None:
    configuration.write_text(host("gate", gate) + host("pi4", sshd, "ProxyJump gate"))
    trust(sshd, tmp_path / "known_hosts")
    with pytest.raises(HostKeyError) as caught:
        link(tmp_path / "known_hosts")
    message = str(caught.value)
    assert f"the host key of jump host {gate.user}@127.0.0.1:{gate.port} is not trusted yet" in message
    assert gate.fingerprint in message
    assert "`hwaware devices trust board`" in message


def test_the_unknown_key_of_the_board_behind_is_its_own(
    sshd: Sshd, gate: Sshd, configuration: Path, tmp_path: Path
) -> None:
    configuration.write_text(host("gate", gate) + host("pi4", sshd, "ProxyJump gate"))
    trust(gate, tmp_path / "known_hosts")
    with pytest.raises(HostKeyError) as caught:
        link(tmp_path / "known_hosts")
    assert "jump host" not in str(caught.value)
    assert sshd.fingerprint in str(caught.value)


def test_the_changed_key_of_a_jump_host_is_refused(sshd: Sshd, gate: Sshd, configuration: Path, tmp_path: Path) -> None:
    configuration.write_text(host("gate", gate) + host("pi4", sshd, "ProxyJump gate"))
    for server in (gate, sshd):
        trust(server, tmp_path / "known_hosts")
    gate.replace_host_key()
    with pytest.raises(HostKeyError, match=r"the host key of jump host .* has changed.*--replace"):
        link(tmp_path / "known_hosts")


def test_a_jump_host_that_does_not_let_one_in(sshd: Sshd, gate: Sshd, configuration: Path, tmp_path: Path) -> None:
    wrong = host("gate", gate).replace(str(gate.key_file), str(sshd.key_file))
    configuration.write_text(wrong + host("pi4", sshd, "ProxyJump gate"))
    trust(gate, tmp_path / "known_hosts")
    with pytest.raises(DeviceError, match=r"jump host .* did not accept the key .*IdentityFile in your ssh conf"):
        link(tmp_path / "known_hosts")


def test_a_board_the_jump_host_does_not_reach(sshd: Sshd, gate: Sshd, configuration: Path, tmp_path: Path) -> None:
    closed = host("pi4", sshd, "ProxyJump gate").replace(f"Port {sshd.port}", "Port 1")
    configuration.write_text(host("gate", gate) + closed)
    trust(gate, tmp_path / "known_hosts")
    with pytest.raises(DeviceError, match=r"connecting to .*:1 through jump host .* failed: .*; check that 127"):
        link(tmp_path / "known_hosts")


def test_a_jump_host_that_forwards_nothing(sshd: Sshd, gate: Sshd, configuration: Path, tmp_path: Path) -> None:
    with (gate.folder / "config").open("a") as file:
        file.write("AllowTcpForwarding no\n")
    gate.replace_host_key()
    configuration.write_text(host("gate", gate) + host("pi4", sshd, "ProxyJump gate"))
    trust(gate, tmp_path / "known_hosts")
    with pytest.raises(DeviceError, match=r"through jump host .* failed: .*AllowTcpForwarding"):
        link(tmp_path / "known_hosts")


def test_a_jump_host_that_goes_away(sshd: Sshd, gate: Sshd, configuration: Path, tmp_path: Path) -> None:
    configuration.write_text(host("gate", gate) + host("pi4", sshd, "ProxyJump gate"))
    for server in (gate, sshd):
        trust(server, tmp_path / "known_hosts")
    connected = link(tmp_path / "known_hosts")
    gate.stop()
    with pytest.raises(DeviceError, match="connection was lost"):
        connected.run(["sleep", "30"], timeout=20)
    connected.close()


def test_a_proxy_command_carries_the_connection(sshd: Sshd, configuration: Path, tmp_path: Path) -> None:
    (tmp_path / "relay.py").write_text(RELAY)
    command = f"ProxyCommand {sys.executable} {tmp_path}/relay.py 127.0.0.1 %p"
    configuration.write_text(host("pi4", sshd, command).replace("HostName 127.0.0.1", "HostName no-such-host.invalid"))
    known_hosts = tmp_path / "known_hosts"
    with pytest.raises(HostKeyError, match="not trusted yet"):
        link(known_hosts)
    trust(sshd, tmp_path / "of the address")
    name = f"[no-such-host.invalid]:{sshd.port}"
    known_hosts.write_text((tmp_path / "of the address").read_text().replace(hop_of(sshd).key_name, name))
    connected = link(known_hosts)
    assert connected.run(["echo", "in"], timeout=20).stdout == "in\n"
    connected.close()


def test_a_proxy_command_that_ends_at_once(sshd: Sshd, configuration: Path, tmp_path: Path) -> None:
    configuration.write_text(host("pi4", sshd, "ProxyCommand false"))
    with pytest.raises(DeviceError, match=r"SSH handshake with .* failed.*check its ProxyCommand with `ssh -v pi4`"):
        link(tmp_path / "known_hosts")


def test_a_proxy_command_that_says_nothing_is_ended(sshd: Sshd, configuration: Path, tmp_path: Path) -> None:
    command = f"ProxyCommand sh -c 'echo $$ >{tmp_path}/pid; exec sleep 600'"
    configuration.write_text(host("pi4", sshd, command))
    with pytest.raises(DeviceError, match="SSH handshake"):
        link(tmp_path / "known_hosts", Timeouts(banner=1.0))
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()


@pytest.fixture
def boards(sshd: Sshd, gate: Sshd, configuration: Path, devices_home: Path) -> Inventory:
    """A user with a board behind a jump host."""
    configuration.write_text(host("gate", gate) + host("pi4", sshd, "ProxyJump gate"))
    inventory = Inventory()
    inventory.add(DeviceEntry("board", "ssh://pi4"))
    return inventory


def test_trust_tells_and_stores_the_keys_of_the_way(
    boards: Inventory, sshd: Sshd, gate: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["devices", "trust", "board", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["fingerprint"] == sshd.fingerprint
    assert [jump["fingerprint"] for jump in document["jump_hosts"]] == [gate.fingerprint]
    assert f"trusted jump host {gate.user}@127.0.0.1:{gate.port}: ssh-ed25519 {gate.fingerprint}" in err
    for server in (gate, sshd):
        assert trusted_key(boards.known_hosts, hop_of(server).key_name) is not None
    assert main(["devices", "clean", "board"]) == 0
    assert main(["devices", "remove", "board"]) == 0
    for server in (gate, sshd):
        assert trusted_key(boards.known_hosts, hop_of(server).key_name) is None


def test_a_fingerprint_is_the_board_s_own(
    boards: Inventory, sshd: Sshd, gate: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["devices", "trust", "board", "--fingerprint", sshd.fingerprint]
    for fingerprint in (sshd.fingerprint, gate.fingerprint):
        assert main([*words[:-1], fingerprint]) == 1
        err = capsys.readouterr().err
        assert "trust the jump host first" in err
        assert gate.fingerprint in err
    assert not boards.known_hosts.exists()
    boards.add(DeviceEntry("gate", "ssh://gate"))
    assert main(["devices", "trust", "gate", "--fingerprint", gate.fingerprint]) == 0
    assert main([*words[:-1], gate.fingerprint]) == 1
    assert trusted_key(boards.known_hosts, hop_of(sshd).key_name) is None
    assert main(words) == 0


def test_removing_a_board_keeps_what_others_need(boards: Inventory, sshd: Sshd, gate: Sshd) -> None:
    boards.add(DeviceEntry("gate", "ssh://gate"))
    assert main(["devices", "trust", "board"]) == 0
    assert main(["devices", "remove", "board"]) == 0
    assert trusted_key(boards.known_hosts, hop_of(gate).key_name) is not None
    assert trusted_key(boards.known_hosts, hop_of(sshd).key_name) is None
