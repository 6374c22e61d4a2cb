"""Numbers of a few bits, one behind the other without gaps: the lowest bit of the first is the lowest of byte 0."""

from __future__ import annotations

import numpy as np

MOST = 32
_AT_ONCE = 1 << 20  # numbers, a multiple of 8: each piece ends with a whole byte


def packed(values: np.ndarray, width: int) -> np.ndarray:
    """uint8 bytes of `values`, of which each is below 2**width. Raises ValueError for one that is not."""
    if not 1 <= width <= MOST:
        raise ValueError(f"{width} is no number of bits from 1 to {MOST}")
    if values.size and (int(values.min()) < 0 or int(values.max()) >= 1 << width):
        raise ValueError(f"a value is beyond {width} bits")
    flat, places = values.reshape(-1).astype(np.uint32), np.arange(width, dtype=np.uint32)
    parts = [
        np.packbits(((flat[start : start + _AT_ONCE, None] >> places) & 1).astype(np.uint8), bitorder="little")
        for start in range(0, len(flat), _AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


def unpacked(data: np.ndarray, width: int, count: int) -> np.ndarray:
    """The first `count` numbers of `width` bits, uint32. Raises ValueError where there are not so many bytes."""
    if not 1 <= width <= MOST:
        raise ValueError(f"{width} is no number of bits from 1 to {MOST}")
    if len(data) != size_of(count, width):
        raise ValueError(f"{count} numbers of {width} bits take {size_of(count, width)} bytes, not {len(data)}")
    powers = (np.uint32(1) << np.arange(width, dtype=np.uint32)).astype(np.uint32)
    found = np.empty(count, np.uint32)
    for start in range(0, count, _AT_ONCE):
        number = min(_AT_ONCE, count - start)
        piece = data[start * width // 8 : (start + number) * width // 8 + 1]
        bits = np.unpackbits(piece, bitorder="little", count=number * width).reshape(number, width)
        found[start : start + number] = (bits * powers).sum(1, dtype=np.uint32)
    return found


def size_of(count: int, width: int) -> int:
    """Bytes of `count` numbers."""
    return -(-count * width // 8)
