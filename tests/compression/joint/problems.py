"""Small random problems, and all of their assignments for brute force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwaware.compression.joint.problem import LATENCY, LOSS, Border, Choice, Group, Moment, Problem

ENERGY, MEMORY = "energy", "memory"
METERS = (LATENCY, ENERGY, MEMORY)
SHAPES = ("chain", "tree", "cycle", "complete")


@dataclass(frozen=True, eq=False)
class Drawn:
    """A problem and limits on some of its meters."""

    problem: Problem
    limits: dict[str, float]


def drawn(seed: int) -> Drawn:
    """Two to five groups; costs of a few whole numbers, so that many tie, or of floats, some of them infinite."""
    chance = np.random.default_rng(seed)
    whole, forbidding = bool(chance.integers(2)), chance.choice([0.0, 0.06])

    def costs(*shape: int) -> np.ndarray:
        found = chance.integers(-1, 4, shape).astype(float) if whole else chance.uniform(-0.5, 2.0, shape)
        return np.where(chance.random(shape) < forbidding, np.inf, found)

    groups = []
    for number in range(int(chance.integers(2, 6))):
        size = int(chance.integers(1, 5))
        losses = np.nan_to_num(costs(size), posinf=2.0)
        by_meter = {meter: costs(size) for meter in (LATENCY, ENERGY) if chance.random() < 0.8}
        choices = [
            Choice(f"c{place}", float(losses[place]), {meter: float(each[place]) for meter, each in by_meter.items()})
            for place in range(size)
        ]
        groups.append(Group(f"g{number}", tuple(choices)))

    def border(first: Group, second: Group, meter: str) -> Border:
        if chance.random() < 0.5:
            first, second = second, first
        classes = [
            tuple(chance.integers(0, 2, len(group.choices)).tolist()) if chance.random() < 0.4 else None
            for group in (first, second)
        ]
        shape = [
            len(group.choices) if each is None else 2 for group, each in zip((first, second), classes, strict=True)
        ]
        return Border(first.name, second.name, meter, costs(*shape), *classes)

    borders = []
    for one, two in _pairs(str(chance.choice(SHAPES)), len(groups), chance):
        for meter in (LATENCY, ENERGY, LOSS):
            if chance.random() < 0.45:
                borders.append(border(groups[one], groups[two], meter))
    moments = []
    for _ in range(int(chance.integers(1, 4))):
        held = [group for group in groups if chance.random() < 0.6]
        inner = (border(held[0], held[1], MEMORY),) if len(held) > 1 and chance.random() < 0.3 else ()
        parts = {group.name: costs(len(group.choices)).tolist() for group in held}
        moments.append(Moment(float(chance.integers(0, 2)), parts, inner))
    constants = {LATENCY: 0.5, ENERGY: 0.0, LOSS: float(chance.integers(-1, 2))}
    problem = Problem(tuple(groups), tuple(borders), {MEMORY: tuple(moments)}, constants)
    return Drawn(problem, _limits(problem, chance))


def every(problem: Problem) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """All assignments with finite costs (assignments × groups), and for each its meters and its loss."""
    places = {group.name: number for number, group in enumerate(problem.groups)}
    sizes = [len(group.choices) for group in problem.groups]
    chosen = np.indices(sizes).reshape(len(sizes), -1).T

    def at(border: Border) -> np.ndarray:
        sides = []
        for name, classes in ((border.first, border.first_classes), (border.second, border.second_classes)):
            own = chosen[:, places[name]]
            sides.append(own if classes is None else np.array(classes)[own])
        return border.cost[sides[0], sides[1]]

    found: dict[str, np.ndarray] = {}
    for meter in (LOSS, *(meter for meter in problem.meters if meter not in problem.peaks)):
        total = np.full(len(chosen), problem.constants.get(meter, 0.0))
        for name, number in places.items():
            values = [c.loss if meter == LOSS else c.costs.get(meter, 0.0) for c in problem.groups[number].choices]
            assert problem.groups[number].name == name
            total = total + np.array(values)[chosen[:, number]]
        found[meter] = total + sum(at(border) for border in problem.borders if border.meter == meter)
    for meter, moments in problem.peaks.items():
        levels = []
        for moment in moments:
            level = np.full(len(chosen), moment.constant)
            for name, part in moment.parts.items():
                level = level + np.array(part)[chosen[:, places[name]]]
            levels.append(level + sum(at(border) for border in moment.borders))
        found[meter] = np.max(levels, axis=0)
    finite = np.all([np.isfinite(values) for values in found.values()], axis=0)
    return chosen[finite], {meter: values[finite] for meter, values in found.items()}


def kept(costs: Mapping[str, np.ndarray], limits: Mapping[str, float]) -> np.ndarray:
    """Which assignments are within the limits, by the tolerance that the solver documents."""
    inside = np.ones(len(costs[LOSS]), dtype=np.bool_)
    for meter, limit in limits.items():
        inside &= costs[meter] <= limit + 1e-9 * abs(limit) + 1e-12
    return inside


def _pairs(shape: str, count: int, chance: np.random.Generator) -> list[tuple[int, int]]:
    chain = [(place, place + 1) for place in range(count - 1)]
    if shape == "chain":
        return chain
    if shape == "tree":
        return [(int(chance.integers(0, place)), place) for place in range(1, count)]
    if shape == "cycle":
        return [*chain, (0, count - 1)] if count > 2 else chain
    return [(one, two) for two in range(count) for one in range(two)]


def _limits(problem: Problem, chance: np.random.Generator) -> dict[str, float]:
    """On some meters, from below what any assignment has to above what most have."""
    costs = every(problem)[1]
    limits = {}
    for meter in METERS:
        if chance.random() < 0.7:
            values = costs[meter] if len(costs[meter]) else np.zeros(1)
            limits[meter] = float(np.quantile(values, chance.choice([0.1, 0.3, 0.5, 0.8])))
            if chance.random() < 0.05:
                limits[meter] = float(values.min()) - 0.25
    return limits
