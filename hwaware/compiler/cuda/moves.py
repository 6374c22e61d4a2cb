"""Elementwise maps, copies and look-ups: every output element by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from tvm import tirx

from hwaware.compiler.cuda.builder import BlockBuilder, Written
from hwaware.compiler.cuda.views import View
from hwaware.compiler.tir import Expr, const, integer
from hwaware.graph.lower.copy import Part
from hwaware.graph.workload import IN_PITCH, Step


def _dot(indices: Sequence[Expr], strides: Sequence[int], offset: int) -> Expr:
    total: Expr = integer(offset)
    for index, stride in zip(indices, strides, strict=True):
        if stride:
            total = total + index * stride
    return total


def map_(builder: BlockBuilder) -> Written:
    """``map``: elementwise steps over one input with strides of its own."""
    builder.declare_steps()
    work = builder.workload
    shape = work.output.shape or (1,)
    strides = work.ints("strides") or (0,)
    if IN_PITCH in dict(work.attrs):
        # The strides are those of dense channels.
        strides = (*(stride // work.in_width * work.in_pitch for stride in strides[:-1]), strides[-1])
    offset = work.attr("offset")
    assert isinstance(offset, int)
    source = builder.inputs[0]

    def strided(operand: View, step: Step, indices: Sequence[Expr]) -> Expr:
        walk = cast("tuple[int, ...]", step.operand) or (0,)
        return operand.load(_dot(indices, walk, int(step.params[0])))

    return builder.finish(shape, lambda indices: source.load(_dot(indices, strides, offset)), strided=strided)


def copy(builder: BlockBuilder) -> Written:
    """``copy``: strided moves, each a block, after filling where the moves do not cover the output."""
    work = builder.workload
    output, attrs = builder.output, dict(work.attrs)
    if "fill" in attrs:
        value = const(float(attrs["fill"]), dtype=work.output.dtype)  # type: ignore[arg-type]
        builder.blocks.store("fill", output.shape, lambda _: value, output)
    for index, (source, part) in enumerate(zip(builder.inputs, cast("tuple[Part, ...]", attrs["parts"]), strict=True)):
        _move(builder, f"part{index}", source, part)
    return builder.written()


def _move(builder: BlockBuilder, name: str, source: View, part: Part) -> None:
    shape, ins, in_offset, outs, out_offset = part
    builder.blocks.store(
        name,
        shape,
        lambda indices: source.load(_dot(indices, ins, in_offset)),
        builder.output,
        lambda indices: (_dot(indices, outs, out_offset),),
    )


def embedding(builder: BlockBuilder) -> Written:
    """``embedding``: rows of a table; an index outside it is clamped, memory stays safe."""
    work = builder.workload
    count, width = work.output.shape
    rows = work.attr("rows")
    assert isinstance(rows, int)
    table = builder.constant("table", (rows, width), lambda constants: constants["table"])
    builder.declare_steps()
    source = builder.inputs[0]

    def element(indices: Sequence[Expr]) -> Expr:
        row, column = indices
        index = tirx.Cast("int32", source.load(row))
        return table.load(tirx.max(tirx.min(index, integer(rows - 1)), integer(0)), column)

    return builder.finish((count, width), element)
