"""What a kernel has to do, counted from the schedule that writes it: what costs are interpolated along.

Time is not smooth in a channel's width: the last vector is padded or cut into pieces, tiles do not divide rows,
Winograd's transforms have vectors along the input channels. All of that is known before a kernel is compiled. How long
each count takes is the device's, fitted to measurements; what is left of a cost then changes slowly with widths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from hwaware.compiler.choice import Choice
from hwaware.compiler.cuda import effort as cuda
from hwaware.compiler.schedules.conv import tiling
from hwaware.compiler.schedules.conv_shape import conv_shape
from hwaware.compiler.schedules.integer.conv import integer_tiling
from hwaware.compiler.schedules.tile import vector_widths
from hwaware.compiler.schedules.window import runs
from hwaware.compiler.schedules.winograd import layout_of
from hwaware.compiler.sharing import sharing
from hwaware.compiler.target import GPU, Target
from hwaware.compiler.tir import pieces
from hwaware.graph.arithmetic import activation_bytes, weight_bytes
from hwaware.graph.lower.copy import Part
from hwaware.graph.workload import FULL, Workload

Counts: TypeAlias = NDArray[np.float64]

# A call; multiply-adds of vectors that are full, half full and narrower, of integers as many channels at once as a
# processor adds up; cycles for which a tile's sums wait for their loads or for each other; tiles; other vector
# operations, full, half and narrower; vectors stored; vectors that cross a cache line as rows begin anywhere; bytes of
# activations, those that do not stay in the second-level cache, and bytes of weights; parallel loops that threads
# have to meet for. All but the first and the last of the busiest thread.
# Of a GPU's kernels: the call, thousands of multiply-adds, bytes of both kinds, launches.
NAMES = (
    "call", "add", "add_half", "add_part", "wait", "tiles", "move", "move_half", "move_part", "store", "split",
    "bytes", "far", "weights", "launch",
)  # fmt: skip
# Cycles each takes on a core that is like most: where a device's cells do not tell, in these proportions.
TYPICAL = (150.0, 1.0, 0.7, 0.6, 1.0, 4.0, 1.5, 1.0, 0.8, 1.0, 0.5, 0.01, 0.03, 0.05, 1500.0)
_ADD, _WAIT, _TILES, _MOVE, _STORE, _SPLIT, _BYTES, _FAR, _WEIGHTS, _LAUNCH = 1, 4, 5, 6, 9, 10, 11, 12, 13, 14
_LINE = 16  # floats


def effort(workload: Workload, target: Target, choice: Choice, threads: int = 1) -> Counts:
    """The counts of `NAMES`, all at least 0, of `workload` as `choice` writes it for `target`, run by `threads`.

    Raises BuildError where the schedule cannot write the workload.
    """
    counts = np.zeros(len(NAMES))
    counts[0] = 1
    if target.unit == GPU:
        counts[_BYTES], counts[_WEIGHTS] = activation_bytes(workload), weight_bytes(workload)
        counts[_ADD], counts[_LAUNCH] = cuda.adds(workload, choice), cuda.launches(workload)
        return counts
    operands = sum(1 for step in workload.epilogue if step.operand == FULL)
    rows, width = math.prod(workload.output.shape[:-1]), workload.output.shape[-1] if workload.output.shape else 1
    counts[_STORE] = rows * len(pieces(width, target.lanes)) * (1 + operands)
    counts[_SPLIT] = rows * _crossing(width, target) * (1 + operands)
    counts[_BYTES] = activation_bytes(workload)
    counts[_FAR] = max(0, counts[_BYTES] - target.l2)
    counts[_WEIGHTS] = weight_bytes(workload)
    shares = sharing(workload, target, choice, threads)
    _COUNT.get(choice.schedule, _elements)(counts, workload, target, choice)
    if choice.schedule == "winograd":
        _transform_inputs(counts, workload, target, choice, shares.ahead / shares.work)
    counts[1:] *= shares.work
    counts[_WEIGHTS] *= shares.weights / shares.work
    counts[_LAUNCH] = shares.launches
    return counts


def _crossing(width: int, target: Target) -> float:
    """How many of the vectors of a row of `width` floats cross a cache line, on average over rows."""
    aligned = math.gcd(width, _LINE)
    return sum(max(0, vector - aligned) / _LINE for _, vector in pieces(width, target.lanes))


def _put(counts: Counts, first: int, widths: Iterable[int], lanes: int, times: float) -> None:
    """Add `times` for each vector of `widths` to the three counts that begin at `first`."""
    for width in widths:
        counts[first + (0 if width == lanes else 1 if 2 * width == lanes else 2)] += times


def _rows(counts: Counts, shape: tuple[int, ...], target: Target, times: float = 1.0, first: int = _MOVE) -> None:
    """Add the vectors of a tensor whose rows are cut into pieces one by one."""
    widths = [width for _, width in pieces(shape[-1], target.lanes)] if shape else []
    _put(counts, first, widths, target.lanes, math.prod(shape[:-1]) * times)


def _tile(counts: Counts, target: Target, positions: int, widths: tuple[int, ...], steps: float, times: float) -> None:
    """Add `times` register tiles of `steps` reduction steps."""
    _put(counts, _ADD, widths, target.lanes, times * steps * positions)
    adding = positions * len(widths) * target.fma_cycles
    counts[_WAIT] += times * steps * (target.step_cycles(positions, len(widths)) - adding)
    counts[_TILES] += times


def _direct(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    shape, tile, blocks = tiling(workload, target, choice)
    lines = shape.groups * shape.batch * shape.rows.out
    for span in runs(shape.columns, tile.positions):
        for block in blocks:
            _tile(counts, target, span.width, block.widths, shape.steps, lines * span.count * block.count)


def _integer(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    tiling = integer_tiling(workload, target, choice)
    shape = tiling.shape
    lines = shape.groups * shape.batch * shape.rows.out
    steps = tiling.steps / tiling.dot.depth
    for span in runs(shape.columns, tiling.tile.positions):
        for block in tiling.blocks:
            _tile(counts, target, span.width, block.widths, steps, lines * span.count * block.count)


def _winograd(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    layout = layout_of(workload, target, choice)
    channels = workload.inputs[0].shape[3]
    full, rest = divmod(layout.strip, layout.tile.positions)
    products = layout.points * layout.strips
    for block in layout.blocks:
        _tile(counts, target, layout.tile.positions, block.widths, channels, products * block.count * full)
        if rest:
            _tile(counts, target, rest, block.widths, channels, products * block.count)
        _transform(counts, block.valid, target, layout.points * layout.tiles * block.count)


def _transform_inputs(counts: Counts, workload: Workload, target: Target, choice: Choice, times: float) -> None:
    layout, channels = layout_of(workload, target, choice), workload.inputs[0].shape[3]
    times *= layout.points * layout.tiles
    _transform(counts, channels, target, times)
    counts[_SPLIT] += times * _crossing(channels, target)


def _transform(counts: Counts, count: int, target: Target, times: float) -> None:
    """Vectors of one width that cover `count` channels, the last overlapping."""
    width = target.lanes
    while width > count:
        width //= 2
    _put(counts, _MOVE, [width] * -(-count // width), target.lanes, times)


def _depthwise(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    shape = conv_shape(workload)
    taps = shape.rows.taps * shape.columns.taps
    _rows(counts, workload.output.shape, target, taps, _ADD)
    counts[_SPLIT] += math.prod(workload.output.shape[:-1]) * taps * _crossing(workload.output.shape[-1], target)


def _grouped(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    _rows(counts, workload.output.shape, target, conv_shape(workload).steps, _ADD)


def _matmul(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    _rows(counts, workload.output.shape, target, workload.inputs[0].shape[-1], _ADD)
    if workload.attr("transposed"):
        counts[_WAIT] += math.prod(workload.inputs[1].shape)


def _matmul_dot(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    _rows(counts, workload.inputs[0].shape, target, workload.output.shape[-1], _ADD)
    counts[_TILES] += math.prod(workload.output.shape)


def _transposed(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    groups = cast(int, workload.attr("groups"))
    outputs = workload.output.shape[-1] // groups
    times = math.prod(workload.inputs[0].shape) * math.prod(workload.ints("kernel"))
    _put(counts, _ADD, vector_widths(outputs, target.lanes), target.lanes, times)


def _pool(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    taps = math.prod(workload.ints("kernel")) if "kernel" in dict(workload.attrs) else 1
    read, written = (math.prod(spec.shape[:-1]) for spec in (workload.inputs[0], workload.output))
    _rows(counts, workload.output.shape, target, max(taps, read / written))


def _elements(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    for spec in workload.inputs:
        _rows(counts, spec.shape, target)


def _copy(counts: Counts, workload: Workload, target: Target, choice: Choice) -> None:
    for shape, ins, _, outs, _ in cast("tuple[Part, ...]", workload.attr("parts")):
        _rows(counts, shape if outs[-1] == ins[-1] == 1 else (*shape, 1), target)


_COUNT: dict[str, Callable[[Counts, Workload, Target, Choice], None]] = {
    "direct": _direct,
    "stored": _direct,
    "integer": _integer,
    "integer_depthwise": _depthwise,
    "winograd": _winograd,
    "depthwise": _depthwise,
    "grouped": _grouped,
    "matmul": _matmul,
    "matmul_dot": _matmul_dot,
    "conv2d_transpose": _transposed,
    "pool2d": _pool,
    "copy": _copy,
}
