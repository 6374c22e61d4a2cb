"""Random networks for `benchmarks.joint_solver`, as problems: one group a layer, its choices widths × precisions.

A layer's time is that of its multiplications, with both widths rounded up to whole registers, and a launch; behind
a layer of another precision its input is converted first. Losses fall with width and bits, by a sensitivity of the
layer's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwaware.compression.joint.problem import LATENCY, Border, Choice, FloatArray, Group, Moment, Problem

KINDS = ("chain", "residual", "concat")
_NAMES = ("float32", "float16", "int8", "int4", "int2")
_BYTES = np.array([4.0, 2.0, 1.0, 0.5, 0.25])
_LANES = np.array([4, 8, 16, 16, 16])
_SPEED = np.array([1.0, 1.8, 3.2, 3.6, 3.8])  # multiplications a second beside float32's
_NOISE = np.array([0.0, 1e-4, 4e-3, 6e-2, 3e-1])
_MULTIPLIES_MS, _COPIES_MS, _LAUNCH_MS = 4e7, 5e6, 5e-3
_SKIPPED = 3  # every third layer also reads what the layer three before it wrote


@dataclass(frozen=True)
class _Layer:
    """Sizes of a layer: its widths, how many pixels it writes, and the side of its kernel."""

    widths: FloatArray
    pixels: float
    kernel: int


def network(kind: str, layers: int, widths: int, precisions: int, seed: int) -> Problem:
    """A network of one of KINDS; meters latency (ms), size and peak memory (bytes)."""
    chance = np.random.default_rng(seed)
    shapes = [_layer(place / layers, widths, chance) for place in range(layers)]
    names = [f"layer{place}" for place in range(layers)]
    precision = np.tile(np.arange(precisions), widths)  # of each choice
    groups = []
    for name, shape in zip(names, shapes, strict=True):
        sensitivity = chance.lognormal(-3.0, 1.2)
        lost = chance.uniform(0.02, 0.3) * (1 - shape.widths / shape.widths[-1]) ** chance.uniform(1.2, 2.5)
        loss = sensitivity * (lost[:, None] + _NOISE[:precisions] * chance.lognormal(0, 0.5, (widths, precisions)))
        labels = [f"{int(width)} {each}" for width in shape.widths for each in _NAMES[:precisions]]
        groups.append(Group(name, tuple(map(Choice, labels, loss.ravel().tolist()))))
    borders: list[Border] = []
    for place in range(1, layers):
        borders += _between(names, shapes, precision, place - 1, place)
    skips = [] if kind == "chain" else [(place - _SKIPPED, place) for place in range(_SKIPPED, layers, _SKIPPED)]
    for before, place in skips:
        cost = _conversion(shapes[before], precision)
        if kind == "residual":  # they are added: of the same width
            by_width = np.repeat(np.eye(widths), precisions, axis=0)
            cost = np.where(np.repeat(by_width, precisions, axis=1) > 0, cost, np.inf)
        borders.append(Border(names[before], names[place], LATENCY, cost))
    return Problem(tuple(groups), tuple(borders), {"memory": _moments(names, shapes, precision, skips)})


def tight(problem: Problem, meters: Sequence[str], share: float) -> dict[str, float]:
    """Limits for `meters`: the share of the way from the least to the most with the same choice in every layer."""
    limits = {}
    for meter in meters:
        costs = [
            problem.cost(meter, {group.name: place for group in problem.groups})
            for place in range(len(problem.groups[0].choices))
        ]
        limits[meter] = min(costs) + share * (max(costs) - min(costs))
    return limits


def _layer(depth: float, widths: int, chance: np.random.Generator) -> _Layer:
    """Wider and smaller towards the end, as in a classifier."""
    stage = int(4 * depth)
    full = 32 * 2**stage * int(chance.integers(1, 3))
    return _Layer(
        np.ceil(full * np.arange(1, widths + 1) / widths), float((56 >> stage) ** 2), int(chance.choice([1, 3]))
    )


def _between(
    names: Sequence[str], shapes: Sequence[_Layer], precision: np.ndarray, before: int, place: int
) -> list[Border]:
    """What layer `place` costs by its own choice and that of the layer before it."""
    first, second = shapes[before], shapes[place]
    choices = np.repeat(second.widths, len(precision) // len(second.widths))  # the width of each choice
    lanes = _LANES[precision]
    inputs = np.ceil(first.widths[:, None] / lanes) * lanes
    outputs = np.ceil(choices / lanes) * lanes
    multiplies = inputs * outputs * second.kernel**2
    by_width = tuple(np.repeat(np.arange(len(first.widths)), len(precision) // len(first.widths)).tolist())
    time = multiplies * second.pixels / _SPEED[precision] / _MULTIPLIES_MS + _LAUNCH_MS
    size = first.widths[:, None] * choices * second.kernel**2 * _BYTES[precision]
    pair = (names[before], names[place])
    return [
        Border(*pair, LATENCY, time, by_width),
        Border(*pair, "size", size, by_width),
        Border(*pair, LATENCY, _conversion(first, precision)),
    ]


def _conversion(first: _Layer, precision: np.ndarray) -> FloatArray:
    """Milliseconds to convert what a layer writes, by its choice and the one of its reader."""
    written = np.repeat(first.widths, len(precision) // len(first.widths)) * first.pixels
    cost: FloatArray = np.where(precision[:, None] == precision, 0.0, written[:, None] / _COPIES_MS)
    return cost


def _moments(
    names: Sequence[str], shapes: Sequence[_Layer], precision: np.ndarray, skips: Sequence[tuple[int, int]]
) -> tuple[Moment, ...]:
    """While a layer runs: what it reads and writes, and what a later one will read as well."""
    held = [
        (np.repeat(shape.widths, len(precision) // len(shape.widths)) * shape.pixels * _BYTES[precision]).tolist()
        for shape in shapes
    ]
    moments = []
    for place in range(1, len(names)):
        alive = {place - 1, place, *(before for before, reader in skips if before < place <= reader)}
        moments.append(Moment(0.0, {names[each]: held[each] for each in sorted(alive)}))
    return tuple(moments)
