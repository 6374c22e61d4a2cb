"""A dense value inside wider memory: where its elements lie, and how strides over it change.

A value of n·`channels` elements, pixel after pixel, becomes part of a concatenation, or is a slice of one: pixel i and
channel c stand at `offset` + i·`pitch` + c of `buffer`. A stride over the dense value that is a multiple of the
channels goes from pixel to pixel and stretches with the pitch; a shorter one stays within a pixel and keeps its length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwaware.graph.lower.copy import Part, merged

INPUT, OUTPUT = 0, 1


@dataclass(frozen=True)
class Layout:
    """Where a value lies; a `pitch` equal to `channels` is a block without gaps."""

    buffer: str
    offset: int
    channels: int
    pitch: int

    @property
    def is_block(self) -> bool:
        """Whether nothing lies between two pixels."""
        return self.pitch == self.channels

    def place(self, index: int) -> int:
        """Elements from the first element to the dense value's element `index`."""
        return index // self.channels * self.pitch + index % self.channels

    def extent(self, elements: int) -> int:
        """Elements from the first to the last of a dense value of so many `elements`."""
        return self.place(elements - 1) + 1

    def stretched(self, dims: list[tuple[int, int]], offset: int) -> list[int] | None:
        """Strides of (size, stride) from the dense element `offset` on; None where a dimension leaves its pixel."""
        reach = offset % self.channels
        strides = []
        for size, stride in dims:
            if size > 1 and stride % self.channels:
                reach += (size - 1) * stride
                strides.append(stride)
            else:
                strides.append(stride // self.channels * self.pitch)
        return strides if reach < self.channels else None


def relaid(part: Part, side: int, layout: Layout) -> Part | None:
    """A move whose input or output (`side`) was dense and has `layout` now, or None where its walk is too odd.

    Offsets stay relative to the value's first element.
    """
    if layout.is_block:
        return part
    shape, ins, in_offset, outs, out_offset = part
    offset = (in_offset, out_offset)[side]
    dims = []
    for size, *strides in zip(shape, ins, outs, strict=True):
        # A run over several whole pixels is two dimensions from now on.
        inner = layout.channels // strides[side] if 0 < strides[side] < layout.channels else size
        if inner * strides[side] == layout.channels and inner < size and size % inner == 0:
            dims.append((size // inner, [stride * inner for stride in strides]))
            dims.append((inner, strides))
        else:
            dims.append((size, strides))
    moved = layout.stretched([(size, strides[side]) for size, strides in dims], offset)
    if moved is None:
        return None
    for (_, strides), stride in zip(dims, moved, strict=True):
        strides[side] = stride
    offsets = [in_offset, out_offset]
    offsets[side] = layout.place(offset)
    return merged(((size, *strides) for size, strides in dims), *offsets)  # type: ignore[misc]


@dataclass(frozen=True)
class Block:
    """A move of whole rows of `channels`: `pixels` of them, pitches and first elements on both sides."""

    pixels: int
    channels: int
    in_pitch: int
    in_offset: int
    out_pitch: int
    out_offset: int

    @property
    def elements(self) -> int:
        """How many are moved."""
        return self.pixels * self.channels


def block_of(part: Part) -> Block | None:
    """The move as rows of channels, or None if it is none; one row has the pitch of its length."""
    shape, ins, in_offset, outs, out_offset = part
    if outs[-1] != 1:  # rows of one element, merged away
        shape, ins, outs = (*shape, 1), (*ins, 1), (*outs, 1)
    if ins[-1] != 1 or len(shape) > 2:
        return None
    channels = shape[-1]
    if len(shape) == 1:
        return Block(1, channels, channels, in_offset, channels, out_offset)
    if min(ins[0], outs[0]) < channels:
        return None
    return Block(math.prod(shape[:-1]), channels, ins[0], in_offset, outs[0], out_offset)
