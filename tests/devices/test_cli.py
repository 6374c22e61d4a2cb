"""`hwaware devices`, as a user types it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwaware.cli import main
from tests.sshd import Sshd

Hwaware = Callable[..., str]


@pytest.fixture
def devices(devices_home: Path, capsys: pytest.CaptureFixture[str]) -> Hwaware:
    """Runs `hwaware devices WORDS...`; returns stdout, or, where `fails`, the one line on stderr."""

    def run(*words: str, fails: bool = False) -> str:
        status = main(["devices", *words])
        out, err = capsys.readouterr()
        if not fails:
            assert status == 0, err
            return out
        assert status == 1
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return run


def test_the_way_of_a_new_board(devices: Hwaware, sshd: Sshd) -> None:
    added = devices("add", "board", sshd.url, "--key", str(sshd.key_file))
    assert "next: hwaware devices trust board" in added
    refused = devices("show", "board", fails=True)
    assert sshd.fingerprint in refused
    assert "`hwaware devices trust board`" in refused
    trusted = devices("trust", "board")
    assert sshd.fingerprint in trusted
    assert "next: hwaware devices show board" in trusted
    shown = devices("show", "board")
    assert platform.release() in shown
    assert sshd.url in shown
    document = json.loads(devices("show", "board", "--json"))
    assert document["facts"]["arch"] == platform.machine()
    assert len(document["fingerprint"]["sha256"]) == 64
    assert document["target"]["name"] in shown
    assert "removed 1 upload" in devices("clean", "board")
    assert devices("remove", "board").startswith("removed board")
    assert "hwaware devices add" in devices("show", "board", fails=True)


def test_a_board_may_be_trusted_as_it_is_added(
    devices: Hwaware, sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sshd.fingerprint in devices("add", "board", sshd.url, "--key", str(sshd.key_file), "--trust")
    assert platform.release() in devices("show", "board")
    assert "--trust is for ssh:// devices only" in devices("add", "phone", "adb:1", "--trust", fails=True)
    # One that does not answer now is added all the same, and said to be.
    assert main(["devices", "add", "off", "ssh://ann@127.0.0.1:1", "--trust"]) == 1
    added, failed = capsys.readouterr().err.splitlines()
    assert added.startswith("added off")
    assert "cannot connect" in failed
    assert "off" in devices("list")


def test_show_local(devices: Hwaware) -> None:
    assert platform.release() in devices("show", "local")


def test_the_list(devices: Hwaware, devices_home: Path) -> None:
    devices("add", "phone", "adb:emulator-5554")
    assert devices() == devices("list") == "local  local\nphone  adb:emulator-5554\n"
    for words in (["--json"], ["list", "--json"], ["--json", "list"]):
        document = json.loads(devices(*words))
        assert document["inventory"] == str(devices_home / "devices.toml")
        assert [entry["name"] for entry in document["devices"]] == ["local", "phone"]


def test_a_removed_board_is_trusted_no_more(devices: Hwaware, sshd: Sshd) -> None:
    for name in ("one", "two"):
        devices("add", name, sshd.url, "--key", str(sshd.key_file))
    devices("trust", "one")
    devices("remove", "one")
    devices("trust", "two")  # the same host: still known
    devices("remove", "two")
    devices("add", "one", sshd.url)
    assert "not trusted yet" in devices("show", "one", fails=True)


def test_a_changed_key_needs_replace(devices: Hwaware, start: Callable[..., Sshd]) -> None:
    server = start()
    old = server.fingerprint
    devices("add", "board", server.url, "--key", str(server.key_file))
    devices("trust", "board")
    assert json.loads(devices("trust", "board", "--json"))["fingerprint"] == old
    server.replace_host_key()
    for words in (["trust", "board"], ["clean", "board"]):
        refused = devices(*words, fails=True)
        assert old in refused
        assert server.fingerprint in refused
    assert "--replace" in refused
    assert server.fingerprint in devices("trust", "board", "--replace")
    devices("clean", "board")


def test_a_wrong_fingerprint_is_not_stored(devices: Hwaware, sshd: Sshd, devices_home: Path) -> None:
    devices("add", "board", sshd.url)
    refused = devices("trust", "board", "--fingerprint", "SHA256:" + "A" * 43, fails=True)
    assert sshd.fingerprint in refused
    assert not (devices_home / "devices.known_hosts").exists()
    devices("trust", "board", "--fingerprint", sshd.fingerprint)


def test_a_device_that_is_down(devices: Hwaware) -> None:
    devices("add", "board", "ssh://pi@127.0.0.1:1")
    for verb in ("trust", "show", "clean"):
        assert "cannot connect to pi@127.0.0.1:1: Connection refused" in devices(verb, "board", fails=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "a b", "local"], "bad device name"),
        (["add", "local", "local"], "always this machine"),
        (["add", "x", "ssh://pi:pw@board"], "no password"),
        (["add", "x", "ssh://pi@board", "--key", "/no/such/key"], "/no/such/key does not exist"),
        (["add", "x", "local", "--key", "/etc/passwd"], "ssh:// devices only"),
        (["add", "x", "ssh://pi@board", "--cache", "here"], "not an absolute path"),
        (["trust", "local"], "not an SSH device"),
        (["trust", "nobody"], "known: local"),
        (["remove", "local"], "cannot be removed"),
        (["remove", "nobody"], "known: local"),
    ],
)
def test_what_is_refused(devices: Hwaware, devices_home: Path, words: list[str], said: str) -> None:
    assert said in devices(*words, fails=True)
    assert not (devices_home / "devices.toml").exists()


def test_a_name_twice_needs_force(devices: Hwaware) -> None:
    devices("add", "x", "local")
    assert "--force" in devices("add", "x", "ssh://a@b", fails=True)
    devices("add", "x", "ssh://a@b", "--force")
    assert "ssh://a@b" in devices("list")


def test_a_broken_inventory_is_one_line(devices: Hwaware, devices_home: Path) -> None:
    (devices_home / "devices.toml").write_text("schema = [")
    for words in ([], ["show", "local"], ["add", "x", "local"]):
        assert "cannot read the device inventory" in devices(*words, fails=True)


def test_debug_shows_the_traceback(devices: Hwaware) -> None:
    with pytest.raises(Exception, match="known: local"):
        devices("show", "nobody", "--debug")


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["devices", "--help"])
    assert caught.value.code == 0
    assert "hwaware devices add pi4" in capsys.readouterr().out


def test_listing_loads_nothing_heavy(devices_home: Path) -> None:
    script = (
        "import sys\nfrom hwaware.cli import main\nmain(['devices'])\n"
        "print(sorted({'paramiko', 'torch', 'tvm', 'numpy', 'cryptography'} & sys.modules.keys()))"
    )
    out: Any = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert out.splitlines()[-1] == "[]"
