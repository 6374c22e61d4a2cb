"""Softmax and layer normalisation: work on whole rows."""

from __future__ import annotations

from tvm import tirx

from hwaware.compiler import mathlib
from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.plain import row_reduction
from hwaware.compiler.tir import (  # fmt: skip
    Block,
    Expr,
    Stmt,
    bind,
    const,
    load,
    loop,
    over_vectors,
    seq,
    splat,
    store,
)


def softmax(builder: KernelBuilder) -> Kernel:
    """Schedule of ``softmax`` over rows: maximum, exponentials and their sum, scale; or the logarithm of it."""
    builder.declare_steps()
    rows, width = builder.workload.inputs[0].shape
    lanes = builder.target.lanes
    x, y = builder.inputs[0], builder.output
    logarithm = builder.workload.attr("log")

    def row(number: Expr) -> Stmt:
        base = number * width
        statements, top = row_reduction(builder, width, "max", lambda _, at, n: load(x, base + at, n), "top")

        def exponent(block: Block, at: Expr, n: int) -> Expr:
            return mathlib.exp(block, load(x, base + at, n) - splat(top, n), n)

        def write_exponent(at: Expr, n: int) -> Stmt:
            block = Block()
            value = exponent(block, at, n)
            return seq([*block.statements, store(y, base + at, value, n)])

        if logarithm:
            more, total = row_reduction(builder, width, "sum", exponent, "total")
            block = Block()
            shift, bound = bind("shift", top + mathlib.log(block, total, 1))
            more += block.statements
            write = over_vectors(
                "j", width, lanes, lambda at, n: store(y, base + at, load(x, base + at, n) - splat(shift, n), n)
            )
            return seq([*statements, *more, bound, write])
        first = over_vectors("j", width, lanes, write_exponent)
        more, total = row_reduction(builder, width, "sum", lambda _, at, n: load(y, base + at, n), "total")
        scale, bound = bind("scale", const(1.0) / total)
        last = over_vectors(
            "j", width, lanes, lambda at, n: store(y, base + at, load(y, base + at, n) * splat(scale, n), n)
        )
        return seq([*statements, first, *more, bound, last])

    return builder.finish(loop("row", rows, row, "parallel"))


def layer_norm(builder: KernelBuilder) -> Kernel:
    """Schedule of ``layer_norm`` over rows: mean, variance about it (two passes, no cancellation), scale and shift."""
    work = builder.workload
    rows, width = work.inputs[0].shape
    scale = builder.constant("scale", width, lambda constants: constants["scale"])
    shift = builder.constant("shift", width, lambda constants: constants["shift"])
    builder.declare_steps()
    x, y = builder.inputs[0], builder.output
    eps = work.attr("eps")
    assert isinstance(eps, float)

    def row(number: Expr) -> Stmt:
        base = number * width
        statements, total = row_reduction(builder, width, "sum", lambda _, at, n: load(x, base + at, n), "total")
        mean, bound_mean = bind("mean", total * const(1.0 / width))

        def squared(_block: Block, at: Expr, n: int) -> Expr:
            centred = load(x, base + at, n) - splat(mean, n)
            return centred * centred

        more, variance = row_reduction(builder, width, "sum", squared, "variance")
        inverse, bound = bind("inverse", const(1.0) / tirx.sqrt(variance * const(1.0 / width) + const(eps)))

        def write(at: Expr, n: int) -> Stmt:
            normal = (load(x, base + at, n) - splat(mean, n)) * splat(inverse, n)
            return store(y, base + at, normal * load(scale, at, n) + load(shift, at, n), n)

        return seq([*statements, bound_mean, *more, bound, over_vectors("j", width, builder.target.lanes, write)])

    return builder.finish(loop("row", rows, row, "parallel"))
