"""Reading JSON nobody vouches for, and writing files that are whole or absent."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from pathlib import Path
from typing import Any, NoReturn

from hwaware.errors import ArtifactError

# Control characters drive terminals, lone surrogates cannot be written as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
MAX_BYTES = 32 * 1024 * 1024  # a report of the agent's most samples (20 000 and their ops) is below 1 MiB


def write_text_atomic(path: Path, text: str) -> Path:
    """Write `text` as UTF-8 through a temporary file beside `path` and a rename. Raises ArtifactError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("x", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"cannot write {path}: {error.strerror}; choose another place or free space"
        ) from error
    return path


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`: finite numbers, printable strings, bounded size. Raises ArtifactError."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ArtifactError(
            f"cannot read {path}: {error.strerror}; "
            "`hwaware run ARTIFACT --device NAME --report FILE` makes a report"
        ) from error
    if len(raw) > MAX_BYTES:
        raise ArtifactError(f"{path} is larger than {MAX_BYTES} bytes: not a latency report of hwaware")
    try:
        document = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
        _check_strings(document)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ArtifactError(
            f"{path} is not usable JSON: {reason}; write the report anew with `hwaware run`"
        ) from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{path} is not a latency report: it holds no JSON object")
    return document


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
