"""Which workloads are measured for a model, so that any narrower variant of it can be predicted.

Three sources: the model's own operations; for each operation whose input or output channels can be pruned, a grid of
widths; and the whole model sliced evenly to each level of the grid, which brings along what has no weights (pooling,
additions, copies) exactly as lowering makes it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwaware.costs.family import family, with_coordinates
from hwaware.graph.channels import ChannelGroup, Member, channel_groups
from hwaware.graph.ir import Graph, Node, Ref
from hwaware.graph.lower import Program, lower
from hwaware.graph.ops import CONV, LINEAR, MATMUL
from hwaware.graph.slicing import slice_graph
from hwaware.graph.workload import Workload
from hwaware.profiling.grid import level, widths

# The model itself; its outline, between which all else is interpolated; the rest of the grid.
OWN, COARSE, FINE = 0, 1, 2
MOST_CELLS = 700
_LEVELS = (0.0, 0.5, 1.0, 0.25, 0.75)


@dataclass(frozen=True)
class Cell:
    """A workload to measure; lower tiers come first."""

    workload: Workload
    tier: int


@dataclass(frozen=True)
class _Axes:
    """The grid of an operation with weights: ascending widths along each of its coordinates."""

    workload: Workload
    ranges: tuple[tuple[int, ...], ...]
    tied: bool  # one group on both sides: the widths go together


def model_cells(graph: Graph, lanes: int, *, most: int = MOST_CELLS) -> list[Cell]:
    """The cells of `graph`, each workload once, in no particular order.

    `lanes` are the floats of a vector of the target. The grid is thinned until it has at most `most` cells, but never
    below three widths an axis.
    """
    found: dict[str, Cell] = {}

    def add(workload: Workload, tier: int) -> None:
        known = found.get(workload.key)
        if known is None or tier < known.tier:
            found[workload.key] = Cell(workload, tier)

    program = lower(graph)
    for op in program.ops:
        add(op.workload, OWN)
    groups = [group for group in channel_groups(graph) if group.pinned is None and group.size > 1]
    for points in (5, 4, 3):
        grid = {
            workload.key: Cell(workload, COARSE if corner else FINE)
            for axes in _prunable(graph, program, groups, lanes, points)
            for workload, corner in _grid(axes)
        }
        if len(grid) <= most:
            break
    for cell in grid.values():
        add(cell.workload, cell.tier)
    # Parts of a concatenation may be wide and narrow: then every second group at the other end.
    mixed = [(0.0, 1.0), (1.0, 0.0)] if len(groups) > 1 else []
    for shares in [*((share,) for share in _LEVELS[:points]), *mixed]:
        for workload in _sliced(graph, groups, shares, lanes, points):
            add(workload, FINE if 0 < shares[0] < 1 and shares[0] != 0.5 else COARSE)
    return list(found.values())


def measuring_order(cells: Sequence[Cell], seed: int) -> list[Cell]:
    """Random within a tier, so that no drift of the device goes with width; lower tiers first."""
    shuffled = list(cells)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - the order of measuring is no secret
    return sorted(shuffled, key=lambda cell: cell.tier)


def _sliced(
    graph: Graph, groups: Sequence[ChannelGroup], shares: Sequence[float], lanes: int, points: int
) -> Iterator[Workload]:
    """Operations of `graph` with its groups at `shares` of their grids, in turn."""
    keep = {
        group.name: _spread(group.size, level(widths(group.size, lanes, points), share))
        for group, share in zip(groups, itertools.cycle(shares), strict=False)
    }
    for op in lower(slice_graph(graph, keep)).ops if keep else ():
        yield op.workload


def _spread(size: int, kept: int) -> list[int]:
    """`kept` of `size` classes, evenly: where a layer splits its channels every part keeps some."""
    return [index * size // kept for index in range(kept)]


def _prunable(
    graph: Graph, program: Program, groups: Sequence[ChannelGroup], lanes: int, points: int
) -> Iterator[_Axes]:
    """Operations of `graph` with weights, and the widths their channel groups give them."""
    members: dict[tuple[str, int], list[tuple[ChannelGroup, Member]]] = {}
    for group in groups:
        for member in group.members:
            members.setdefault((member.tensor, member.dim), []).append((group, member))
    nodes = graph.producers()
    for op in program.ops:
        node = nodes.get(op.name)
        weight = _weight(node) if node is not None else None
        if node is None or weight is None or op.kind not in ("conv2d", "conv2d_transpose", "dense"):
            continue
        coordinates = family(op.workload).coordinates
        # Weights are (out, in, ...); of a transposed convolution or a plain matrix product (in, out, ...).
        swapped = node.op.startswith("conv_transpose") or node.op in MATMUL
        dims: tuple[int, ...] = (0, 1) if swapped else (1, 0)
        if len(coordinates) == 1:
            dims = (0,)  # depthwise: one filter a channel, or a multiple of them
        sides = [members.get((weight, dim), []) for dim in dims]
        ranges = tuple(
            _widths(size, graph.tensors[weight].shape[dim], side, lanes, points)
            for size, dim, side in zip(coordinates, dims, sides, strict=True)
        )
        names = [[group.name for group, _ in side] for side in sides]
        tied = len(names) == 2 and len(names[0]) == 1 and names[0] == names[1] and ranges[0] == ranges[1]
        yield _Axes(op.workload, ranges, tied)


def _widths(
    size: int, length: int, side: Sequence[tuple[ChannelGroup, Member]], lanes: int, points: int
) -> tuple[int, ...]:
    """Widths of an axis of `size` channels as the groups along it are narrowed together, level by level.

    `length` is that of the weight's dimension, which differs from `size` by a factor in grouped convolutions.
    """
    if not side:
        return (size,)
    fixed = length - sum(sum(member.unit) for _, member in side)
    found = {size}
    for share in _LEVELS[:points]:
        kept = sum(sum(member.unit[: level(widths(group.size, lanes, points), share)]) for group, member in side)
        found.add((kept + fixed) * size // length)
    return tuple(sorted(found))


def _weight(node: Node) -> str | None:
    names = ("weight",) if node.op in CONV | LINEAR else ("other", "mat2")
    arg = next((node.args[name] for name in names if name in node.args), None)
    return arg.name if isinstance(arg, Ref) else None


def _grid(axes: _Axes) -> Iterator[tuple[Workload, bool]]:
    """Workloads over the grid, and whether each is a corner of it."""
    places: Iterator[tuple[int, ...]] = zip(*axes.ranges, strict=True) if axes.tied else itertools.product(*axes.ranges)
    for place in places:
        corner = all(at in (line[0], line[-1]) for at, line in zip(place, axes.ranges, strict=True))
        try:
            yield with_coordinates(axes.workload, place), corner
        except ValueError:
            continue  # widths that do not divide into the convolution's groups are never met
