"""What is computed row by row: reductions, softmax, layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx

from hwaware.compiler.cuda.blocks import LOWEST, add
from hwaware.compiler.cuda.builder import BlockBuilder, Written
from hwaware.compiler.cuda.functions import call
from hwaware.compiler.tir import Expr, const


def reduce(builder: BlockBuilder) -> Written:
    """``reduce`` over the middle of (outer, middle, inner)."""
    builder.declare_steps()
    work = builder.workload
    outer, middle, inner = work.inputs[0].shape
    mode = str(work.attr("mode"))
    source = builder.inputs[0]
    largest = mode == "max"
    total = builder.blocks.reduce(
        "total",
        (outer, inner),
        (middle,),
        lambda kept, reduced: source.load(kept[0], reduced[0], kept[1]),
        start=LOWEST if largest else 0.0,
        combine=tirx.max if largest else add,
    )

    def result(indices: Sequence[Expr]) -> Expr:
        value = total.load(*indices)
        return value * const(1.0 / middle) if mode == "mean" else value

    return builder.finish((outer, inner), result)


def softmax(builder: BlockBuilder) -> Written:
    """``softmax`` and log-softmax of each row."""
    builder.declare_steps()
    work = builder.workload
    rows, width = work.inputs[0].shape
    source, blocks = builder.inputs[0], builder.blocks
    largest = blocks.reduce(
        "largest", (rows,), (width,), lambda kept, reduced: source.load(*kept, *reduced),
        start=LOWEST, combine=tirx.max,
    )  # fmt: skip

    def shifted(row: Expr, column: Expr) -> Expr:
        return source.load(row, column) - largest.load(row)

    total = blocks.reduce("total", (rows,), (width,), lambda kept, reduced: call("expf", shifted(kept[0], reduced[0])))

    def result(indices: Sequence[Expr]) -> Expr:
        value = shifted(*indices)
        if work.attr("log"):
            return value - call("logf", total.load(indices[0]))
        return call("expf", value) / total.load(indices[0])

    return builder.finish((rows, width), result)


def layer_norm(builder: BlockBuilder) -> Written:
    """``layer_norm`` of each row: the variance from differences to the mean, which loses nothing."""
    work = builder.workload
    rows, width = work.inputs[0].shape
    eps = work.attr("eps")
    assert isinstance(eps, float)
    scale = builder.constant("scale", (width,), lambda constants: constants["scale"])
    shift = builder.constant("shift", (width,), lambda constants: constants["shift"])
    builder.declare_steps()
    source, blocks = builder.inputs[0], builder.blocks
    total = blocks.reduce("total", (rows,), (width,), lambda kept, reduced: source.load(*kept, *reduced))
    share = const(1.0 / width)

    def centred(row: Expr, column: Expr) -> Expr:
        return source.load(row, column) - total.load(row) * share

    squares = blocks.reduce(
        "squares", (rows,), (width,), lambda kept, reduced: call("hwa_square", centred(kept[0], reduced[0]))
    )

    def result(indices: Sequence[Expr]) -> Expr:
        row, column = indices
        spread = call("sqrtf", squares.load(row) * share + const(eps))
        return centred(row, column) / spread * scale.load(column) + shift.load(column)

    return builder.finish((rows, width), result)
