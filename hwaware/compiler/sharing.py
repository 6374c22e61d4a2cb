"""How a kernel's work falls to threads, from the schedule that writes it.

The agent's pool, as TVM's, gives each thread a run of ⌈n / threads⌉ of the parallel loop's n steps. The busiest thread
decides how long the kernel takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import SERIAL, ceil_div
from hwaware.compiler.schedules.conv import tiling
from hwaware.compiler.schedules.conv_shape import ConvShape, conv_shape
from hwaware.compiler.schedules.depthwise import depthwise_tiles
from hwaware.compiler.schedules.direct import order, weights_outside
from hwaware.compiler.schedules.integer.conv import integer_tiling
from hwaware.compiler.schedules.parts import even_parts, ranges
from hwaware.compiler.schedules.tile import ChannelBlock, Tile
from hwaware.compiler.schedules.window import runs
from hwaware.compiler.schedules.winograd import layout_of, tasks_of
from hwaware.compiler.target import GPU, Target
from hwaware.compiler.tir import pieces
from hwaware.graph.lower.copy import Part
from hwaware.graph.workload import Workload


@dataclass(frozen=True)
class Sharing:
    """Of the busiest thread: its part of the `work`, and of reading `weights` (all of them where threads share
    positions); how many `launches` of parallel loops there are.

    `ahead` is its part of what is done before, with a launch of its own (Winograd's input transform).
    """

    work: float = 1.0
    weights: float = 1.0
    launches: int = 0
    ahead: float = 1.0


ALONE = Sharing()


def sharing(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    """How `threads` share `workload` as `choice` writes it. Raises BuildError where the schedule cannot write it."""
    if threads == 1 or target.unit == GPU or choice.get(SERIAL, 0):
        return ALONE
    return _OF.get(choice.schedule, _rows)(workload, target, choice, threads)


def busiest(costs: Sequence[float], threads: int) -> float:
    """The part of the costliest run of ⌈n / threads⌉ among all n steps."""
    step = ceil_div(len(costs), threads)
    return max(sum(costs[at : at + step]) for at in range(0, len(costs), step)) / sum(costs)


def _loop(costs: Sequence[float], threads: int, weights: float | None = None) -> Sharing:
    """One loop over steps of these costs; they read all weights, or this part of them. One step is no loop."""
    return Sharing(busiest(costs, threads), 1.0 if weights is None else weights, int(len(costs) > 1))


def _even(count: int, threads: int) -> Sharing:
    """A loop of `count` equal steps that read all weights."""
    return _loop([1.0] * count, threads)


def _block_costs(blocks: Sequence[ChannelBlock], positions: int, target: Target) -> list[float]:
    """Cycles of one reduction step of a tile of each block."""
    return [target.step_cycles(positions, len(block.widths)) for block in blocks for _ in range(block.count)]


def _direct(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    shape, tile, blocks = tiling(workload, target, choice)
    outside = bool(choice.get("weights", int(weights_outside(shape, tile, target))))
    return _tiled(shape, tile, blocks, target, choice, threads, outside=outside)


def _integer(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    found = integer_tiling(workload, target, choice)
    return _tiled(found.shape, found.tile, found.blocks, target, choice, threads, outside=found.outside)


def _tiled(
    shape: ConvShape,
    tile: Tile,
    blocks: Sequence[ChannelBlock],
    target: Target,
    choice: Choice,
    threads: int,
    *,
    outside: bool,
) -> Sharing:
    costs = _block_costs(blocks, tile.positions, target) * shape.groups
    spans = tuple(runs(shape.columns, tile.positions))
    outer, inner, parts = order(shape, spans, len(costs), outside=outside, parts=choice.get("parts", 0))
    sizes = ranges(inner, parts)
    if outside:
        steps = [cost * size for cost in costs for size in sizes]
        return _loop(steps, threads, busiest(steps, threads))
    of_ranges = _sums(costs, sizes)
    steps = [cost for cost in of_ranges for _ in range(outer)]
    # A thread that has few of the ranges reads their weights only.
    reads = ceil_div(ceil_div(len(steps), threads), outer) / len(sizes)
    return _loop(steps, threads, min(1.0, reads))


def _sums(costs: Sequence[float], sizes: Sequence[int]) -> list[float]:
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return [sum(costs[start : start + size]) for start, size in zip(starts, sizes, strict=True)]


def _winograd(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    layout = layout_of(workload, target, choice)
    tasks = tasks_of(layout, choice)
    if not choice.get("split", 0):
        strips = [float(min(layout.strip, layout.tiles - at * layout.strip)) for at in range(layout.strips)]
        found = _loop(_sums(strips, _shares(layout.strips, tasks)), threads)
        return replace(found, ahead=found.work)
    units = _sums(_block_costs(layout.blocks, layout.tile.positions, target), _shares(layout.units, tasks))
    tiles = [float(size) for size in _shares(layout.strip, tasks)]
    part = busiest(units, threads)
    return Sharing(part, part, 2 * layout.strips if tasks > 1 else 0, busiest(tiles, threads))


def _shares(count: int, tasks: int) -> list[int]:
    """How many of `count` things each task has."""
    return [(number + 1) * count // tasks - number * count // tasks for number in range(tasks)]


def _depthwise(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    shape, positions, rows, blocks = depthwise_tiles(workload, target, choice)
    if shape.batch * shape.rows.out == 1:
        loops = [span.count for span in runs(shape.columns, positions)]
        part = sum(count * busiest([1.0] * count, threads) for count in loops) / sum(loops)
        return Sharing(part, 1.0, sum(count > 1 for count in loops))
    strips = shape.batch * ceil_div(shape.rows.out, rows)
    if choice.get("inside", 0):
        return _even(strips, threads)
    costs = [float(len(block.widths)) for block in blocks for _ in range(block.count)]
    of_ranges = _sums(costs, ranges(len(costs), even_parts(strips, len(costs))))
    return _loop([cost for cost in of_ranges for _ in range(strips)], threads)


def _grouped(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    shape = conv_shape(workload)
    rows = shape.batch * shape.rows.out
    widths = [width for _, width in pieces(shape.groups * shape.kg, target.lanes)]
    full = widths.count(target.lanes)
    costs = [1.0] * full + [float(len(widths) - full)] * (len(widths) > full)
    of_ranges = _sums(costs, ranges(len(costs), even_parts(rows, len(costs))))
    return _loop(of_ranges * rows, threads)


def _rows(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    """Of most schedules: rows of the output, whatever lies before its channels."""
    shape = workload.output.shape
    return _even(max(1, prod(shape[:-1])), threads)


def _lines(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    """Lines of images."""
    return _even(prod(workload.output.shape[:2]), threads)


def _matmul(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    batch, rows, _ = workload.inputs[0].shape
    found = _even(batch * ceil_div(rows, choice.get("rows", 4)), threads)
    # Turning b round is a loop of its own.
    return replace(found, launches=found.launches + (batch > 1)) if workload.attr("transposed") else found


def _copy(workload: Workload, target: Target, choice: Choice, threads: int) -> Sharing:
    parts: tuple[Part, ...] = workload.attr("parts")  # type: ignore[assignment]
    steps = [max(1, prod(shape[:-1])) for shape, *_ in parts]
    moved = [prod(shape) for shape, *_ in parts]
    works = [size * busiest([1.0] * count, threads) for size, count in zip(moved, steps, strict=True)]
    return Sharing(sum(works) / sum(moved), 1.0, sum(count > 1 for count in steps))


_OF: dict[str, Callable[[Workload, Target, Choice, int], Sharing]] = {
    "direct": _direct,
    "stored": _direct,
    "integer": _integer,
    "integer_depthwise": _depthwise,
    "winograd": _winograd,
    "depthwise": _depthwise,
    "grouped": _grouped,
    "matmul": _matmul,
    "pool2d": _lines,
    "resample": _lines,
    "copy": _copy,
}
