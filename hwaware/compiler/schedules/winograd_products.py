"""The matrix products of a Winograd convolution: for every point, V's plane times the point's weights."""

from __future__ import annotations

from tvm import tirx

from hwaware.compiler.kernel import ceil_div
from hwaware.compiler.schedules.lanes import Scalar, over_channels
from hwaware.compiler.schedules.tile import ChannelBlock
from hwaware.compiler.schedules.winograd_layout import LINE, Plan
from hwaware.compiler.tir import (
    Buffer,
    Expr,
    Stmt,
    bind,
    const,
    integer,
    load,
    local,
    loop,
    seq,
    splat,
    store,
    with_local,
)


def multiply(plan: Plan, block: ChannelBlock, index: Expr, v_base: Expr, m_base: Expr) -> Stmt:
    """M of a block of output channels, of all rows of V."""
    positions = plan.layout.tile.positions
    full, rest = divmod(plan.layout.strip, positions)

    def point(xi: Expr) -> Stmt:
        def tiles(group: Expr, width: int) -> Stmt:
            return _register_tile(plan, block, index, xi, v_base, m_base, group, width)

        return seq([
            loop("group", full, lambda group: tiles(group, positions)),
            tiles(integer(full), rest) if rest else None,
        ])  # fmt: skip

    return loop("xi", plan.layout.points, point)


def _register_tile(
    plan: Plan, block: ChannelBlock, index: Expr, xi: Expr, v_base: Expr, m_base: Expr, group: Expr, positions: int
) -> Stmt:
    """`positions` rows of V × the block's vectors, summed over all input channels."""
    layout, channels = plan.layout, plan.layout.image[3]
    vectors = list(zip(block.starts, block.widths, strict=True))
    flat = [(p, s, w) for p in range(positions) for s, w in vectors]
    sums = {(p, s): local(f"acc{p}_{s}", w) for p, s, w in flat}
    slab = channels * block.padded
    weights = block.offset * (channels * layout.points) + (index * layout.points + xi) * slab
    first = group * layout.tile.positions
    rows = v_base + xi * layout.v_plane + first * layout.row
    to = m_base + xi * layout.m_plane + first * block.padded
    ahead = _Ahead(plan, block, weights + slab, group)

    def source(p: int, c: Expr, width: int) -> Expr:
        return load(plan.v, rows + p * layout.row + c, width)

    def step(c: Expr, scalar: Scalar) -> Stmt:
        statements: list[Stmt | None] = [*ahead.prefetches(c)]
        weight = {}
        for s, w in vectors:
            weight[s], bound = bind(f"w{s}", load(plan.weight, weights + c * block.padded + s, w))
            statements.append(bound)
        for p in range(positions):
            value, read = scalar(p)
            statements.append(read)
            for s, w in vectors:
                total = load(sums[p, s], integer(0), w) + splat(value, w) * weight[s]
                statements.append(store(sums[p, s], integer(0), total, w))
        return seq(statements)

    zero = [store(sums[p, s], integer(0), const(0.0, w), w) for p, s, w in flat]
    reduce = over_channels(channels, plan.builder.target.lane_fma, range(positions), source, step)
    write = [store(plan.m, to + (p * block.padded + s), load(sums[p, s], integer(0), w), w) for p, s, w in flat]
    return with_local(list(sums.values()), seq([*zero, reduce, *write]))


# Bytes of weights a cycle above which prefetches only take the line buffers from the hardware's own.
_MOST_BYTES = 8.0


class _Ahead:
    """Prefetches of the next point's weights, spread evenly over the steps of this one's register tiles.

    The hardware's own prefetching stops at every page, and reads nothing while tiles but the first find their weights
    in the cache: weights that come from memory then wait for it.
    """

    def __init__(self, plan: Plan, block: ChannelBlock, following: Expr, group: Expr) -> None:
        channels, groups = plan.layout.image[3], ceil_div(plan.layout.strip, plan.layout.tile.positions)
        lines = block.padded // LINE
        self.lines = ceil_div(lines, groups)
        self.every = max(1, groups // max(1, lines))
        reach = ceil_div(groups * channels, self.every) * self.lines * LINE
        size = int(plan.weight.shape[0])
        target = plan.builder.target
        bytes_per_cycle = 4 * target.lanes / (plan.layout.strip * target.fma_cycles)
        if reach > size or bytes_per_cycle > _MOST_BYTES:
            self.lines = 0
        self.weight = plan.weight
        self.start = tirx.min(following, integer(size - reach))
        self.first = group * channels
        self.locality = 3 if channels * block.padded * 4 <= target.l1 // 2 else 2

    def prefetches(self, c: Expr) -> list[Stmt]:
        """Those of reduction step `c`."""
        line = tirx.truncdiv(self.first + c, integer(self.every)) * self.lines
        return [_prefetch(self.weight, self.start + (line + i) * LINE, self.locality) for i in range(self.lines)]


def _prefetch(buffer: Buffer, index: Expr, locality: int) -> Stmt:
    """Ask for a cache line: `locality` 3 into the first level, 2 into the second."""
    read, data = 0, 1
    address = tirx.address_of(load(buffer, index))
    hints = [tirx.const(value, "int32") for value in (read, locality, data)]
    return tirx.Evaluate(tirx.call_llvm_intrin("void", "llvm.prefetch", address, *hints))
