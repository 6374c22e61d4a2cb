"""Where the numbers are that are not 0: a bit for each, or the gaps between them."""

from __future__ import annotations

import numpy as np

from hwaware.encoding.bits import packed, size_of, unpacked

WIDTHS = range(2, 17)  # of a gap, in bits: with 1 it would be a mask


def marks(places: np.ndarray, count: int) -> np.ndarray:
    """A bit for each of `count` numbers, 1 at `places`."""
    mask = np.zeros(count, np.uint8)
    mask[places] = 1
    return np.packbits(mask, bitorder="little")


def marked(data: np.ndarray, count: int) -> np.ndarray:
    """The places of `marks`. Raises ValueError for too few or too many bytes, or bits beyond `count`."""
    if len(data) != size_of(count, 1):
        raise ValueError(f"a mask of {count} numbers takes {size_of(count, 1)} bytes, not {len(data)}")
    bits = np.unpackbits(data, bitorder="little")
    if bits[count:].any():
        raise ValueError("the mask marks numbers beyond the last one")
    return np.flatnonzero(bits[:count])


def gaps(places: np.ndarray, width: int) -> np.ndarray:
    """Codes of `width` bits: how many zeros lie before the next place; the largest code is that many and no place."""
    most = (1 << width) - 1
    between = np.diff(places, prepend=-1) - 1
    whole, rest = np.divmod(between, most)
    codes = np.full(int(whole.sum()) + len(places), most, np.int64)
    codes[np.cumsum(whole + 1) - 1] = rest
    return codes


def places_of(codes: np.ndarray, width: int) -> np.ndarray:
    """The places of `gaps`."""
    most = (1 << width) - 1
    there = codes != most
    return (np.cumsum(np.where(there, codes.astype(np.int64) + 1, most)) - 1)[there]


def best_width(places: np.ndarray) -> int:
    """The bits of a gap with which all of them take the least."""
    between = np.diff(places, prepend=-1) - 1

    def bits(width: int) -> int:
        return (int((between // ((1 << width) - 1)).sum()) + len(places)) * width

    return min(WIDTHS, key=bits)


def packed_gaps(places: np.ndarray, width: int) -> tuple[np.ndarray, int]:
    """Bytes of the codes and how many codes there are."""
    codes = gaps(places, width)
    return packed(codes, width), len(codes)


def unpacked_gaps(data: np.ndarray, width: int, codes: int) -> np.ndarray:
    """Places. Raises ValueError for bytes that are not so many codes."""
    return places_of(unpacked(data, width, codes), width)
