"""A tensor in one of the encodings: what it takes and what it stands for, to the bit but for the sign of a 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from hwaware.encoding.bits import packed, size_of, unpacked
from hwaware.encoding.sparse import best_width, marked, marks, packed_gaps, unpacked_gaps


@dataclass(frozen=True)
class Dense:
    """Every number as it is."""

    values: np.ndarray

    @property
    def bytes(self) -> int:
        """In a file, without its header."""
        return self.values.nbytes


@dataclass(frozen=True)
class SparseMask:
    """A bit a number, and the `values` that are not 0, in order."""

    shape: tuple[int, ...]
    mask: np.ndarray
    values: np.ndarray

    @property
    def bytes(self) -> int:
        """In a file, without its header."""
        return self.mask.nbytes + self.values.nbytes


@dataclass(frozen=True)
class SparseDelta:
    """`count` gaps of `width` bits, and the `values` that are not 0, in order."""

    shape: tuple[int, ...]
    width: int
    count: int
    gaps: np.ndarray
    values: np.ndarray

    @property
    def bytes(self) -> int:
        """In a file, without its header."""
        return self.gaps.nbytes + self.values.nbytes


@dataclass(frozen=True)
class Coded:
    """Blocks of neighbouring numbers as indices of just as many bits as name a codeword of `codebook` (k, d)."""

    shape: tuple[int, ...]
    codebook: np.ndarray
    indices: np.ndarray

    @property
    def width(self) -> int:
        """Bits of an index."""
        return index_bits(len(self.codebook))

    @property
    def bytes(self) -> int:
        """In a file, without its header."""
        return self.codebook.nbytes + self.indices.nbytes


Encoded: TypeAlias = Dense | SparseMask | SparseDelta | Coded
NAMES = {Dense: "dense", SparseMask: "sparse-mask", SparseDelta: "sparse-delta", Coded: "codebook"}


def index_bits(words: int) -> int:
    """Bits that name one of so many codewords."""
    return max(1, (words - 1).bit_length())


def encode(array: np.ndarray) -> Dense | SparseMask | SparseDelta:
    """The smallest of dense, mask and gaps. -0.0, which masks make of what is negative, is 0 as well."""
    flat = np.ascontiguousarray(array).reshape(-1)
    places = np.flatnonzero(flat)
    dense, held = flat.nbytes, len(places) * flat.itemsize
    width = best_width(places)
    codes, count = packed_gaps(places, width)
    if min(len(codes), size_of(flat.size, 1)) + held >= dense:
        return Dense(np.array(array, order="C"))
    if len(codes) <= size_of(flat.size, 1):
        return SparseDelta(array.shape, width, count, codes, flat[places])
    return SparseMask(array.shape, marks(places, flat.size), flat[places])


def coded(shape: tuple[int, ...], codebook: np.ndarray, assignments: np.ndarray) -> Coded:
    """Blocks of `shape`, in order, by index. Raises ValueError where they do not make it up."""
    words, depth = codebook.shape
    if assignments.size * depth != math.prod(shape):
        raise ValueError(f"{assignments.size} blocks of {depth} are no tensor of shape {shape}")
    if codebook.dtype != np.float16:
        raise ValueError(f"codewords are float16, not {codebook.dtype}")
    if assignments.size and (int(assignments.min()) < 0 or int(assignments.max()) >= words):
        raise ValueError(f"an index is outside of the {words} codewords")
    return Coded(shape, codebook, packed(assignments.reshape(-1), index_bits(words)))


def decode(encoded: Encoded) -> np.ndarray:
    """The tensor; of a codebook in float32. Raises ValueError for parts that do not fit together."""
    if isinstance(encoded, Dense):
        return encoded.values
    count = math.prod(encoded.shape)
    if isinstance(encoded, Coded):
        words, depth = encoded.codebook.shape
        indices = unpacked(encoded.indices, encoded.width, count // depth)
        if len(indices) * depth != count or (len(indices) and int(indices.max()) >= words):
            raise ValueError(f"the indices do not make a tensor of shape {encoded.shape} from {words} codewords")
        return encoded.codebook.astype(np.float32)[indices].reshape(encoded.shape)
    if isinstance(encoded, SparseMask):
        places = marked(encoded.mask, count)
    else:
        places = unpacked_gaps(encoded.gaps, encoded.width, encoded.count)
    if len(places) != len(encoded.values) or (len(places) and int(places[-1]) >= count):
        raise ValueError(f"{len(encoded.values)} values at {len(places)} places are no tensor of shape {encoded.shape}")
    found = np.zeros(count, encoded.values.dtype)
    found[places] = encoded.values
    return found.reshape(encoded.shape)
