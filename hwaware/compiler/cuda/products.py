"""Matrix products: dense layers and products of two computed matrices."""

from __future__ import annotations

from collections.abc import Sequence

from hwaware.compiler.cuda.builder import BlockBuilder, Written
from hwaware.compiler.cuda.names import ELEMENT
from hwaware.compiler.tir import Expr, integer


def dense(builder: BlockBuilder) -> Written:
    """``dense``: rows times the transposed weights. A single row is a product with a vector, which has its own rule."""
    rows, features = builder.workload.inputs[0].shape
    outputs = builder.workload.output.shape[-1]
    source = builder.inputs[0]
    turned = builder.choice.schedule == ELEMENT
    weights = builder.constant(
        "weights",
        (features, outputs) if turned else (outputs, features),
        lambda constants: constants["weight"].T if turned else constants["weight"],
    )
    builder.declare_steps()

    def product(row: Expr, k: Expr, c: Expr) -> Expr:
        return source.load(row, c) * (weights.load(c, k) if turned else weights.load(k, c))

    if rows == 1:
        total = builder.blocks.reduce(
            "total", (outputs,), (features,), lambda kept, reduced: product(integer(0), kept[0], reduced[0])
        )
        return builder.finish((outputs,), lambda indices: total.load(*indices), lambda indices: (integer(0), *indices))
    total = builder.blocks.reduce(
        "total", (rows, outputs), (features,), lambda kept, reduced: product(kept[0], kept[1], reduced[0])
    )
    return builder.finish((rows, outputs), lambda indices: total.load(*indices))


def matmul(builder: BlockBuilder) -> Written:
    """``matmul``: batches of a·b, where b may lie transposed."""
    builder.declare_steps()
    work = builder.workload
    batch, rows, depth = work.inputs[0].shape
    a, b = builder.inputs
    transposed = bool(work.attr("transposed"))

    def term(kept: Sequence[Expr], reduced: Sequence[Expr]) -> Expr:
        n, i, j = kept
        (k,) = reduced
        return a.load(n, i, k) * (b.load(n, j, k) if transposed else b.load(n, k, j))

    shape = (batch, rows, work.output.shape[-1])
    total = builder.blocks.reduce("total", shape, (depth,), term)
    return builder.finish(shape, lambda indices: total.load(*indices))
