"""Files onto a device, checked by SHA-256 there: first under a temporary name, renamed once right."""

from __future__ import annotations

import hashlib
import re
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from hwaware.devices.link import DeviceTimeoutError, Link
from hwaware.devices.output import one_line
from hwaware.errors import DeviceError

_SCRIPT_S = 30.0
_HASH_S = 300.0  # a slow card reads a large model at a few MB/s

# The folder's time is that of its last use, by which room.py goes.
_HASH = """
if [ ! -f "$1" ]; then echo absent; exit 0; fi
touch -c "${1%/*}" 2>/dev/null
if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1"; else echo unable; fi
"""
_PREPARE = 'umask 077; mkdir -p "$1"'
_PUBLISH = 'chmod "$3" "$1" && mv -f "$1" "$2"'
_FREE = 'df -Pk "$1"'


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex. Raises DeviceError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DeviceError(f"cannot read {path}: {error.strerror}") from error


def size_of(path: Path) -> int:
    """The file's bytes. Raises DeviceError if it cannot be read."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise DeviceError(f"cannot read {path}: {error.strerror}") from error


def upload_program(link: Link, path: Path, cache: str, make_room: Callable[[Path], None]) -> str:
    """Put `path` at ``CACHE/SHA256/NAME``, executable, unless it is there already; returns that path.

    `make_room` is called before anything is sent.
    """
    digest = sha256_of(path)
    folder = f"{cache}/{digest}"
    remote = f"{folder}/{path.name}"
    if _remote_hash(link, remote) != digest:
        make_room(path)
        upload_file(link, path, remote, mode="700", digest=digest)
    return remote


def upload_file(link: Link, path: Path, remote: str, *, mode: str = "600", digest: str | None = None) -> None:
    """Put `path` at the absolute path `remote`, replacing what is there only once the copy is verified."""
    digest = digest or sha256_of(path)
    folder = remote.rpartition("/")[0]
    _script(link, f"the folder {folder}", _PREPARE, folder)
    temporary = f"{folder}/.part-{secrets.token_hex(8)}"
    try:
        link.send(path, temporary)
        arrived = _remote_hash(link, temporary)
        if arrived != digest:
            raise DeviceError(
                f"device {link.name}: {one_line(path.name)} arrived damaged (SHA-256 {arrived[:12]}…, sent "
                f"{digest[:12]}…); "
                "check the board's storage, then try again"
            )
        _script(link, f"the file {remote}", _PUBLISH, temporary, remote, mode)
    except BaseException as error:
        full = None
        try:
            _script(link, f"the removal of {temporary}", 'rm -f "$1"', temporary)
            if isinstance(error, DeviceError) and not isinstance(error, DeviceTimeoutError):
                full = _full_disk(link, path, folder)
        except DeviceError as failure:
            error.add_note(f"{temporary} may be left on {link.name}: {failure}")
        if full is not None:
            raise full from error
        raise


def _full_disk(link: Link, path: Path, folder: str) -> DeviceError | None:
    """A clear error if there was no room for `path`: SFTP servers say no more than "Failure"."""
    done = link.run(["sh", "-c", _FREE, "hwaware", folder], timeout=_SCRIPT_S)
    found = re.search(r"\s([0-9]{1,15})\s+[0-9]{1,3}%\s", done.stdout)
    size = path.stat().st_size
    if found is None or int(found[1]) * 1024 > size:
        return None
    free = int(found[1]) * 1024
    return DeviceError(
        f"device {link.name}: no space left for {one_line(path.name)}: it takes {_mib(size)} MiB and "
        f"{folder} has {_mib(free)} MiB free; make room with `hwaware devices clean {link.name}`, or name "
        "another folder with HWAWARE_REMOTE_CACHE"
    )


def _remote_hash(link: Link, remote: str) -> str:
    """SHA-256 of the device's file in hex, or a word that is none; read back where the device cannot hash."""
    done = link.run(["sh", "-c", _HASH, "hwaware", remote], timeout=_HASH_S)
    answer = done.stdout.split()[0] if done.stdout.split() else "none"
    if answer != "unable":
        return answer
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        link.receive(remote, copy)
        return sha256_of(copy)


def _script(link: Link, what: str, script: str, *words: str) -> None:
    done = link.run(["sh", "-c", script, "hwaware", *words], timeout=_SCRIPT_S)
    if done.returncode != 0:
        reason = one_line(done.stderr) or f"exit {done.returncode}"
        raise DeviceError(f"device {link.name}: cannot write {one_line(what)}: {reason}")


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.2f}"
