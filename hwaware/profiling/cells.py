"""Which workloads are measured alone for a model, before whole variants of it are.

Three sources: the model's own operations; for each operation whose input or output channels can be pruned, the ends of
their widths; and the whole model sliced evenly to low, middle and mixed widths, which brings along what has no weights
(pooling, additions, copies) exactly as lowering makes it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hwaware.costs.family import family, with_coordinates
from hwaware.errors import ModelError
from hwaware.graph.channels import ChannelGroup, Member
from hwaware.graph.ir import Graph, Node, Ref
from hwaware.graph.lower import Program, lower
from hwaware.graph.ops import CONV, LINEAR, MATMUL
from hwaware.graph.workload import Workload
from hwaware.profiling.grid import ends, middle
from hwaware.profiling.precisions import Precision, uniform
from hwaware.profiling.variants import prunable_groups, sliced

# The model itself; the ends of its widths.
OWN, ENDS = 0, 1


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


def model_cells(graph: Graph, lanes: int, precisions: Sequence[Precision] = ()) -> list[Cell]:
    """The cells of `graph`, each workload once, in no particular order; `lanes` are floats of the target's vectors.

    In float32, and with all layers in each of `precisions`.
    """
    found: dict[str, Cell] = {}

    def add(workload: Workload, tier: int) -> None:
        known = found.get(workload.key)
        if known is None or tier < known.tier:
            found[workload.key] = Cell(workload, tier)

    groups = prunable_groups(graph)
    narrower = []
    for widths in _levels(groups, lanes) if groups else ():
        try:
            narrower.append(sliced(graph, groups, widths))
        except ModelError:
            continue  # widths at which a grouped convolution's channels do not divide
    forms: list[Callable[[Graph], Graph]] = [lambda each: each]
    forms += [partial(uniform, precision=precision) for precision in precisions]
    for form in forms:
        program = lower(form(graph))
        for op in program.ops:
            add(op.workload, OWN)
        for axes in _prunable(graph, program, groups, lanes):
            for workload in _grid(axes):
                add(workload, ENDS)
        for each in narrower:
            for op in lower(form(each)).ops:
                add(op.workload, ENDS)
    return list(found.values())


def _levels(groups: Sequence[ChannelGroup], lanes: int) -> Iterator[dict[str, int]]:
    """All groups at their lowest width, at half of it, and in turn at the lowest and the whole."""
    yield {group.name: ends(group.size, lanes)[0] for group in groups}
    yield {group.name: middle(group.size, lanes) for group in groups}
    # Parts of a concatenation may be wide and narrow.
    for first in (0, 1) if len(groups) > 1 else ():
        yield {
            group.name: ends(group.size, lanes)[0] if index % 2 == first else group.size
            for index, group in enumerate(groups)
        }


def measuring_order(cells: Sequence[Cell], seed: int) -> list[Cell]:
    """Random within a tier, so that no drift of the device goes with width; lower tiers first."""
    shuffled = list(cells)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - the order of measuring is no secret
    return sorted(shuffled, key=lambda cell: cell.tier)


def _prunable(graph: Graph, program: Program, groups: Sequence[ChannelGroup], lanes: int) -> Iterator[_Axes]:
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
            _widths(size, graph.tensors[weight].shape[dim], side, lanes)
            for size, dim, side in zip(coordinates, dims, sides, strict=True)
        )
        names = [[group.name for group, _ in side] for side in sides]
        tied = len(names) == 2 and len(names[0]) == 1 and names[0] == names[1] and ranges[0] == ranges[1]
        yield _Axes(op.workload, ranges, tied)


def _widths(size: int, length: int, side: Sequence[tuple[ChannelGroup, Member]], lanes: int) -> tuple[int, ...]:
    """Widths of an axis of `size` channels as the groups along it are all narrow or all whole.

    `length` is that of the weight's dimension, which differs from `size` by a factor in grouped convolutions.
    """
    if not side:
        return (size,)
    fixed = length - sum(sum(member.unit) for _, member in side)
    low = sum(sum(member.unit[: ends(group.size, lanes)[0]]) for group, member in side)
    return tuple(sorted({(low + fixed) * size // length, size}))


def _weight(node: Node) -> str | None:
    names = ("weight",) if node.op in CONV | LINEAR else ("other", "mat2")
    arg = next((node.args[name] for name in names if name in node.args), None)
    return arg.name if isinstance(arg, Ref) else None


def _grid(axes: _Axes) -> Iterator[Workload]:
    """Workloads at the corners of the grid."""
    places: Iterator[tuple[int, ...]] = zip(*axes.ranges, strict=True) if axes.tied else itertools.product(*axes.ranges)
    for place in places:
        try:
            yield with_coordinates(axes.workload, place)
        except ValueError:
            continue  # widths that do not divide into the convolution's groups are never met
