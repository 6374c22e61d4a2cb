"""Rows of a bundle on their way out: sound ones at once, others after they were measured again.

A cell measured under bad conditions is never averaged with another measurement: of several, the one under the best
conditions is kept, and marked if those were bad too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from hwaware.costs.row import FAILED, OK, THROTTLED, UNSTABLE, CellRow
from hwaware.profiling.calm import Witness
from hwaware.profiling.conditions import judged
from hwaware.profiling.lines import Reading

# The median sentinel of fewer cells is no reference yet.
ENOUGH_CELLS = 5
# Most of a bundle that is measured again at a time: on a machine that is never steady a bench takes longer, by half at
# worst, but ends.
MOST_AGAIN = 0.25
_LEAST_AGAIN = 2
_RANK = {OK: 0, UNSTABLE: 1, THROTTLED: 2, FAILED: 3}


class Sieve:
    """Hands sound rows to `on_row` and keeps the others until `flush`. `cells`: how many the bundle has."""

    def __init__(self, witness: Witness, on_row: Callable[[CellRow], object], cells: int) -> None:
        self._witness = witness
        self._on_row = on_row
        self._most = max(_LEAST_AGAIN, math.ceil(MOST_AGAIN * cells))
        self._waiting: dict[str, Reading] = {}

    def take(self, reading: Reading) -> None:
        """The first measurement of a cell, or another one."""
        if reading.around is not None:
            self._witness.hear(reading.around)
        before = self._waiting.pop(reading.id, None)
        if before is not None:
            retries = before.row.retries + 1
            best = min((before, reading), key=lambda one: _badness(self._judged(one)))
            reading = replace(best, row=replace(best.row, retries=retries))
        row = self._judged(reading)
        early = reading.around is not None and self._witness.cells < ENOUGH_CELLS
        if row.status in (OK, FAILED) and not early:
            self._on_row(row)
        else:
            self._waiting[reading.id] = reading

    def again(self) -> list[str]:
        """The cells to be measured again, by id: the worst first, as many as the bench can afford."""
        bad = []
        for name, reading in list(self._waiting.items()):
            row = self._judged(reading)
            if row.status == OK:
                del self._waiting[name]
                self._on_row(row)
            else:
                bad.append((_badness(row), name))
        return [name for _, name in sorted(bad, reverse=True)[: self._most]]

    def flush(self) -> None:
        """Hand out what is left, marked as it is."""
        while self._waiting:
            _, reading = self._waiting.popitem()
            self._on_row(self._judged(reading))

    def _judged(self, reading: Reading) -> CellRow:
        return reading.row if reading.around is None else judged(reading.row, reading.around, self._witness)


def _badness(row: CellRow) -> tuple[int, float]:
    """Orders measurements of one cell, and cells of a bundle, from the best conditions to the worst."""
    return _RANK[row.status], max(abs(row.sentinel_drift or 0.0), (row.mad_ns or 0.0) / (row.p50_ns or 1.0))
