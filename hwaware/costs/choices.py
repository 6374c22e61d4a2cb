"""Which schedule was measured to be best, and what that says about workloads that were not measured."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hwaware.compiler.choice import Choice
from hwaware.costs.family import Coordinates, family
from hwaware.costs.row import ALONE, CellRow
from hwaware.graph.workload import Workload


class Choices:
    """The schedules of measured workloads, the same for what is like them.

    A workload gets the choice of its own cell; else of the one that differs in the steps after the anchor only; else
    of the nearest width of its family: a new width costs a compilation, not a search.
    """

    def __init__(self) -> None:
        self._own: dict[str, Choice] = {}
        self._families: dict[str, dict[Coordinates, Choice]] = {}

    @classmethod
    def of_rows(cls, rows: Iterable[CellRow]) -> Choices:
        """The choices that measured cells were made with. Raises BuildError for text that is no choice."""
        made = cls()
        # Costs are told for whole models, so it is the schedule of such a row that has to be compiled.
        for row in sorted(rows, key=lambda row: row.state != ALONE):
            if row.usable and row.schedule:
                choice = Choice.parse(row.schedule)
                made._own[row.key] = choice
                # Widths that were measured as part of a model took their choice over from a neighbour themselves.
                if row.state == ALONE:
                    made._keep(row.key, row.family, row.coordinates, choice)
        return made

    def add(self, workload: Workload, choice: Choice) -> None:
        """Remember the choice of one workload."""
        place = family(workload)
        self._keep(workload.key, place.key, place.coordinates, choice)

    def _keep(self, key: str, name: str, coordinates: Coordinates, choice: Choice) -> None:
        self._own[key] = choice
        for similar in (name, _anchor(name)):
            self._families.setdefault(similar, {}).setdefault(coordinates, choice)

    def of(self, workload: Workload) -> Choice | None:
        """The choice for `workload`; None where nothing like it was measured."""
        if workload.key in self._own:
            return self._own[workload.key]
        place = family(workload)
        for similar in (place.key, _anchor(place.key)):
            known = self._families.get(similar)
            if known:
                return min(known.items(), key=lambda item: _distance(item[0], place.coordinates))[1]
        return None

    def __len__(self) -> int:
        return len(self._own)


def _anchor(name: str) -> str:
    """A family's name without the steps after its anchor."""
    return name.rsplit("|", 1)[0]


def _distance(a: Coordinates, b: Coordinates) -> float:
    """How far two widths are apart, in octaves."""
    if len(a) != len(b):
        return math.inf
    return sum(abs(math.log2(max(x, 1) / max(y, 1))) for x, y in zip(a, b, strict=True))
