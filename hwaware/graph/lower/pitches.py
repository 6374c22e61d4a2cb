"""Which operations can read and write values that lie inside wider memory, and how they are told to."""

from __future__ import annotations

from typing import cast

from hwaware.graph.ir import Spec
from hwaware.graph.lower.copy import Part
from hwaware.graph.lower.layout import INPUT, OUTPUT, Layout, relaid
from hwaware.graph.lower.program import FusedOp
from hwaware.graph.workload import IN_PITCH, OUT_PITCH

# Kinds whose first input, and whose output, may have a pitch.
READERS = frozenset({"conv2d", "conv2d_transpose", "dense", "pool2d", "resample"})
WRITERS = frozenset({"conv2d", "conv2d_transpose", "dense", "matmul", "pool2d", "map", "resample"})


def moves(op: FusedOp) -> bool:
    """Whether an operation only moves: one that fills writes all of its output."""
    return op.kind == "copy" and "fill" not in op.attrs


def parts_of(op: FusedOp) -> tuple[Part, ...]:
    """The moves of a copy, one an input."""
    return cast("tuple[Part, ...]", op.attrs["parts"])


def can_write(op: FusedOp, layout: Layout) -> bool:
    """Whether the output of `op` can have `layout`."""
    if op.kind == "copy":
        return moves(op) and all(relaid(part, OUTPUT, layout) is not None for part in parts_of(op))
    return op.kind in WRITERS and (layout.is_block or op.output_spec.shape[-1:] == (layout.channels,))


def write_at(op: FusedOp, layout: Layout, whole: Spec) -> None:
    """Have `op` write there; a copy's output becomes the `whole` buffer, of which it fills parts."""
    if op.kind != "copy":
        op.attrs[OUT_PITCH] = op.output_spec.shape[-1] if layout.is_block else layout.pitch
        return
    parts = []
    for part in parts_of(op):
        moved = relaid(part, OUTPUT, layout)
        assert moved is not None
        parts.append((*moved[:4], moved[4] + layout.offset))
    op.attrs["parts"] = tuple(parts)
    op.output, op.output_spec = layout.buffer, whole


def can_read(op: FusedOp, name: str, layout: Layout) -> bool:
    """Whether the input `name` of `op` can have `layout`; operands of steps never do."""
    if op.kind == "copy":
        parts = [part for source, part in zip(op.inputs, parts_of(op), strict=True) if source == name]
        return all(relaid(part, INPUT, layout) is not None for part in parts)
    if op.inputs.index(name) > 0 or op.inputs.count(name) > 1:
        return False
    if op.kind == "map":
        return layout.is_block or map_dims(op, layout) is not None
    return op.kind in READERS and (layout.is_block or op.input_specs[0].shape[-1:] == (layout.channels,))


def map_dims(op: FusedOp, layout: Layout) -> tuple[tuple[int, ...], int] | None:
    """Strides of a map as if its channels were dense, and its first element; None where it reads something else.

    It must read neighbouring channels of whole pixels, channels innermost.
    """
    strides, offset = cast("tuple[int, ...]", op.attrs["strides"]), cast(int, op.attrs["offset"])
    shape = op.output_spec.shape
    if not shape or IN_PITCH in op.attrs or (strides[-1] != 1 and shape[-1] > 1):
        return None
    width = shape[-1]
    outer = [(size, stride) for size, stride in zip(shape[:-1], strides[:-1], strict=True) if size > 1]
    if any(stride % layout.channels for _, stride in outer) or offset % layout.channels + width > layout.channels:
        return None
    return (*(stride // layout.channels * width for stride in strides[:-1]), 1), offset
