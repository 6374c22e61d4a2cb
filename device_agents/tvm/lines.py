"""Lines of JSON, each written whole: a reader never gets half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping


def write(descriptor: int, document: Mapping[str, object]) -> None:
    """Write one line. Raises OSError where the reader is gone, ValueError for numbers that JSON does not have."""
    left = memoryview(json.dumps(document, separators=(",", ":"), allow_nan=False).encode() + b"\n")
    while left:
        left = left[os.write(descriptor, left) :]


def error(descriptor: int, reason: object) -> None:
    """The line for what makes a whole call impossible."""
    write(descriptor, {"type": "error", "reason": str(reason)})
