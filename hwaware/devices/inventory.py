"""The user's devices: ``devices.toml`` in the configuration directory, or the file in ``$HWAWARE_DEVICES``.

    schema = 1

    [devices."pi4"]
    url = "ssh://pi@pi4.lan"
    key_file = "/home/ann/.ssh/boards"     # optional
    cache = "/data/hwaware"                # optional: hwaware's folder on the device

The device ``local`` is this machine and needs no entry.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hwaware.devices.address import parse_address
from hwaware.errors import DeviceError

SCHEMA = 1
LOCAL = "local"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OPTIONAL = ("key_file", "cache")


@dataclass(frozen=True)
class DeviceEntry:
    """One line of the inventory; `key_file` and `cache` are absolute paths (here, and on the device)."""

    name: str
    url: str
    key_file: str | None = None
    cache: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name[0] in "-.":
            raise DeviceError(f"bad device name {self.name!r}: 1 to 64 of A-Z a-z 0-9 . _ -, not starting with . or -")
        parse_address(self.url)
        for field in _OPTIONAL:
            value = getattr(self, field)
            if value is not None and not (value.startswith("/") and value.isprintable()):
                raise DeviceError(f"device {self.name}: {field} {value!r} is not an absolute path")


class Inventory:
    """The file of devices. Each call reads it anew; each change is written whole, then renamed."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or _default_path()

    @property
    def known_hosts(self) -> Path:
        """The host keys of these devices; hwaware never reads or writes the user's own known_hosts."""
        return self.path.with_suffix(".known_hosts")

    def entries(self) -> dict[str, DeviceEntry]:
        """All devices by name, `local` first."""
        try:
            text = self.path.read_bytes().decode()
            document = tomllib.loads(text)
            stored = _entries(document)
        except FileNotFoundError:
            stored = {}
        except (OSError, ValueError, DeviceError) as error:
            raise DeviceError(
                f"cannot read the device inventory {self.path}: {error}; correct the file, or delete it and "
                "add the devices again with `hwaware devices add`"
            ) from error
        return {LOCAL: DeviceEntry(LOCAL, LOCAL)} | stored

    def find(self, name: str) -> DeviceEntry:
        """The device called `name`; an unknown name is an error that lists the known ones."""
        entries = self.entries()
        if name not in entries:
            raise DeviceError(
                f"no device is called {name!r} (known: {', '.join(entries)}); add it with "
                "`hwaware devices add NAME ssh://USER@HOST`"
            )
        return entries[name]

    def add(self, entry: DeviceEntry, *, force: bool = False) -> None:
        """Store `entry`; a name already there is refused unless `force`."""
        if entry.name == LOCAL:
            raise DeviceError("`local` is always this machine; choose another name")
        with self._locked():
            entries = self.entries()
            if entry.name in entries and not force:
                raise DeviceError(
                    f"a device called {entry.name} exists ({entries[entry.name].url}); replace it with --force"
                )
            self._write(entries | {entry.name: entry})

    def remove(self, name: str) -> DeviceEntry:
        """Take `name` out and return what was stored."""
        if name == LOCAL:
            raise DeviceError("`local` is this machine and cannot be removed")
        with self._locked():
            entry = self.find(name)
            self._write({key: value for key, value in self.entries().items() if key != name})
            return entry

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two commands that change the file at once must not lose one another's entry."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, entries: Mapping[str, DeviceEntry]) -> None:
        lines = [f"schema = {SCHEMA}"]
        for entry in entries.values():
            if entry.name == LOCAL:
                continue
            lines += ["", f"[devices.{_quoted(entry.name)}]", f"url = {_quoted(entry.url)}"]
            lines += [f"{key} = {_quoted(value)}" for key in _OPTIONAL if (value := getattr(entry, key))]
        try:
            write_whole(self.path, "\n".join(lines) + "\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> DeviceError:
        return DeviceError(
            f"cannot write the device inventory {self.path}: {error.strerror}; set HWAWARE_DEVICES to a file "
            "you may write"
        )


def write_whole(path: Path, text: str) -> None:
    """Replace the file `path` by `text`, or leave it as it was; a symbolic link stays one. Raises OSError."""
    target = path.resolve()
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _default_path() -> Path:
    named = os.environ.get("HWAWARE_DEVICES")
    if named:
        return Path(named).absolute()
    import platformdirs

    return Path(platformdirs.user_config_dir("hwaware")) / "devices.toml"


def _entries(document: Mapping[str, object]) -> dict[str, DeviceEntry]:
    if document.get("schema") != SCHEMA:
        raise ValueError(f"its schema is {document.get('schema')!r}, this version reads {SCHEMA}")
    tables = document.get("devices", {})
    if not isinstance(tables, dict):
        raise ValueError("`devices` is not a table")
    return {name: _entry(name, fields) for name, fields in tables.items()}


def _entry(name: str, fields: object) -> DeviceEntry:
    if not isinstance(fields, dict) or "url" not in fields:
        raise ValueError(f"device {name!r} has no url")
    unknown = fields.keys() - {"url", *_OPTIONAL}
    if unknown or not all(isinstance(value, str) for value in fields.values()):
        raise ValueError(f"device {name!r} has fields other than the strings url, {', '.join(_OPTIONAL)}")
    if name == LOCAL:
        raise ValueError("`local` is reserved for this machine")
    return DeviceEntry(name, **fields)


def _quoted(value: str) -> str:
    """A TOML basic string; values are printable, so JSON's escapes of quote and backslash suffice."""
    return json.dumps(value, ensure_ascii=False)
