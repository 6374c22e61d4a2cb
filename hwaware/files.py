"""Reading JSON nobody vouches for, and writing files that are whole or absent."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from hwaware.errors import HwawareError

# Control characters drive terminals, lone surrogates cannot be written as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
MAX_BYTES = 32 * 1024 * 1024  # a report of the agent's most samples (20 000 and their ops) is below 1 MiB


@dataclass(frozen=True)
class Document:
    """A kind of file: its name in messages, the command that makes a good one, the error it is refused with."""

    name: str
    remedy: str
    error: type[HwawareError]


def write_text_atomic(path: Path, text: str, error: type[HwawareError]) -> Path:
    """Write `text` as UTF-8, whole or not at all. Raises `error`."""
    return write_bytes_atomic(path, text.encode("utf-8"), error)


def write_bytes_atomic(path: Path, data: bytes, error: type[HwawareError]) -> Path:
    """Write `data` through a temporary file beside `path` and a rename. Raises `error`."""
    if not path.name:
        raise error(f"cannot write {path}: it is a directory; name a file")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as failure:
        raise error(f"cannot write {path}: {failure.strerror}; choose another place or free space") from failure
    return path


def read_json(path: Path, document: Document) -> dict[str, Any]:
    """The JSON object in `path`: finite numbers, printable strings, bounded size. Raises `document.error`."""
    raw = read_bytes(path, document)
    try:
        content = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
        _check_strings(content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise document.error(f"{path} is not usable JSON: {reason}; {document.remedy}") from error
    if not isinstance(content, dict):
        raise document.error(f"{path} is not a {document.name}: it holds no JSON object")
    return content


def read_bytes(path: Path, document: Document, limit: int | None = None) -> bytes:
    """All of `path`, which has at most `limit` bytes (default `MAX_BYTES`). Raises `document.error`."""
    most = MAX_BYTES if limit is None else limit
    try:
        with path.open("rb") as stream:
            raw = stream.read(most + 1)
    except OSError as error:
        raise document.error(f"cannot read {path}: {error.strerror}; {document.remedy}") from error
    if len(raw) > most:
        raise document.error(f"{path} is larger than {most} bytes: not a {document.name} of hwaware")
    return raw


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it contains {name}, which no measurement is")


def _finite(text: str) -> float:
    """`1e999` is valid JSON and infinite."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is out of range")
    return value


def _check_strings(value: Any) -> None:
    """Refuse strings, at any depth, that cannot be printed."""
    if isinstance(value, str):
        if _UNPRINTABLE.search(value):
            raise ValueError(f"control characters in the string {value[:40]!r}")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_strings(name)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)
