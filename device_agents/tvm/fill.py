"""Contents of tensors: half of one to one, of either sign, as `native/fill.c` makes them; no denormals, no zeros."""

from __future__ import annotations

import random

from device_agents.tvm.elements import ELEMENTS

# Of a float's bits: what is random, and what makes it ±[0.5, 1).
_FLOATS = {
    "float64": (0x800FFFFFFFFFFFFF, 0x3FE0000000000000),
    "float32": (0x807FFFFF, 0x3F000000),
    "float16": (0x83FF, 0x3800),
}
_CHUNK = 1 << 16  # elements made at a time: long numbers are fast, very long ones take memory


def values(source: random.Random, dtype: str, count: int) -> bytes:
    """`count` random floats; zeros of any other type: integers are indices more often than not, and 0 is in range."""
    size = ELEMENTS[dtype].bytes
    if dtype not in _FLOATS:
        return bytes(size * count)
    parts = []
    for start in range(0, count, _CHUNK):
        length = min(_CHUNK, count - start)
        keep, put = (int.from_bytes(bits.to_bytes(size, "little") * length, "little") for bits in _FLOATS[dtype])
        drawn = int.from_bytes(source.randbytes(size * length), "little")
        parts.append((drawn & keep | put).to_bytes(size * length, "little"))
    return b"".join(parts)


def indices(source: random.Random, dtype: str, count: int, limit: int) -> bytes:
    """`count` integers in [0, limit)."""
    size = ELEMENTS[dtype].bytes
    if limit <= 1:
        return bytes(size * count)
    return b"".join(source.randrange(limit).to_bytes(size, "little") for _ in range(count))
