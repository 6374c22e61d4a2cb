"""The inventory file: whole or unchanged, and one clear line when it is broken."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.errors import DeviceError

PI = DeviceEntry("pi4", "ssh://pi@pi4.lan", "/home/ann/.ssh/boards", "/data/my boards")

names = st.text("abcXYZ019._-", min_size=1, max_size=64).filter(lambda n: n[0] not in "-." and n != "local")
paths = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=30).map("/{}".format)
printable = paths.filter(str.isprintable)
stored = st.builds(
    DeviceEntry,
    name=names,
    url=st.sampled_from(["local", "ssh://a@b:1", "adb:x"]),
    key_file=st.none() | printable,
    cache=st.none() | printable,
)


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path / "config folder" / "devices.toml")


def test_local_is_there_without_a_file(inventory: Inventory) -> None:
    assert inventory.entries() == {"local": DeviceEntry("local", "local")}
    assert not inventory.path.parent.exists()


@settings(max_examples=30, deadline=None)
@given(st.lists(stored, max_size=6, unique_by=lambda entry: entry.name))
def test_what_is_added_is_found(entries: list[DeviceEntry]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inventory = Inventory(Path(folder) / "devices.toml")
        for entry in entries:
            inventory.add(entry)
        assert list(inventory.entries().values())[1:] == entries
        for entry in entries:
            assert inventory.remove(entry.name) == entry
        assert list(inventory.entries()) == ["local"]


def test_a_duplicate_needs_force(inventory: Inventory) -> None:
    inventory.add(PI)
    with pytest.raises(DeviceError, match=r"pi4 exists \(ssh://pi@pi4\.lan\).*--force"):
        inventory.add(DeviceEntry("pi4", "local"))
    assert inventory.find("pi4") == PI
    inventory.add(DeviceEntry("pi4", "local"), force=True)
    assert inventory.find("pi4").url == "local"


def test_an_unknown_name_lists_the_known_ones(inventory: Inventory) -> None:
    inventory.add(PI)
    with pytest.raises(DeviceError, match=r"'pi5' \(known: local, pi4\).*hwaware devices add"):
        inventory.find("pi5")


def test_local_is_reserved(inventory: Inventory) -> None:
    with pytest.raises(DeviceError, match="always this machine"):
        inventory.add(DeviceEntry("local", "ssh://a@b"))
    with pytest.raises(DeviceError, match="cannot be removed"):
        inventory.remove("local")


@pytest.mark.parametrize("name", ["", "a b", "-x", ".x", "a/b", "ä", "x" * 65, "a\n"])
def test_bad_names(name: str) -> None:
    with pytest.raises(DeviceError, match="bad device name"):
        DeviceEntry(name, "local")


@pytest.mark.parametrize("path", ["relative", "~/x", "/a\nb", "", "/\udc80"])
def test_bad_paths(path: str) -> None:
    with pytest.raises(DeviceError, match="not an absolute path"):
        DeviceEntry("x", "local", cache=path)


@pytest.mark.parametrize(
    "content",
    [
        b"schema = 1\n[devices.pi4\n",
        b"\xff\xfe",
        b"",
        b"schema = 2\n",
        b"schema = 1\ndevices = 3\n",
        b'schema = 1\n[devices."a b"]\nurl = "local"\n',
        b"schema = 1\n[devices.pi4]\n",
        b"schema = 1\n[devices.pi4]\nurl = 3\n",
        b'schema = 1\n[devices.pi4]\nurl = "ssh://-x@y"\n',
        b'schema = 1\n[devices.pi4]\nurl = "local"\nname = "other"\n',
        b'schema = 1\n[devices.local]\nurl = "local"\n',
    ],
)
def test_a_broken_file_is_one_clear_error_and_stays_as_it_is(inventory: Inventory, content: bytes) -> None:
    inventory.path.parent.mkdir()
    inventory.path.write_bytes(content)
    for act in (inventory.entries, lambda: inventory.add(PI), lambda: inventory.remove("pi4")):
        with pytest.raises(DeviceError, match="cannot read the device inventory") as caught:
            act()
        assert str(inventory.path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert inventory.path.read_bytes() == content


def test_a_failed_write_leaves_the_old_file_and_nothing_else(inventory: Inventory) -> None:
    inventory.add(PI)
    before = sorted(inventory.path.parent.iterdir()), inventory.path.read_bytes()
    # A file size limit of 100 bytes stands for the full disk.
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from hwaware.devices.inventory import DeviceEntry, Inventory\n"
        "from hwaware.errors import DeviceError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try:\n"
        "    Inventory(Path(sys.argv[1])).add(DeviceEntry('b', 'local', cache='/' + 'x' * 200))\n"
        "except DeviceError as error:\n"
        "    sys.exit(0 if 'cannot write' in str(error) else 2)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(inventory.path)], check=True)
    assert (sorted(inventory.path.parent.iterdir()), inventory.path.read_bytes()) == before


def test_two_commands_at_once_lose_nothing(inventory: Inventory) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hwaware.devices.inventory import DeviceEntry, Inventory\n"
        "for i in range(20):\n"
        "    Inventory(Path(sys.argv[1])).add(DeviceEntry(f'{sys.argv[2]}{i}', 'local'))\n"
    )
    command = [sys.executable, "-c", script, str(inventory.path)]
    writers = [subprocess.Popen([*command, name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(inventory.entries()) == 41


def test_a_linked_file_stays_a_link(inventory: Inventory, tmp_path: Path) -> None:
    inventory.path.parent.mkdir()
    (tmp_path / "dotfiles").touch()
    (tmp_path / "dotfiles").write_text("schema = 1\n")
    inventory.path.symlink_to(tmp_path / "dotfiles")
    inventory.add(PI)
    assert inventory.path.is_symlink()
    assert "pi4" in (tmp_path / "dotfiles").read_text()
