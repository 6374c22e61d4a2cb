"""Two profiles of one model, one after the other, on one machine: how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.predict.outcome import Predicted
from hwaware.costs.row import CellRow

BAR = 0.03


@dataclass(frozen=True)
class Repeat:
    """Relative differences of the second from the first, their signs dropped: of cells, and of predictions.

    `cells` were measured in both by one schedule, `rescheduled` in both by two. None: nothing in common.
    """

    cells: int
    rescheduled: int
    cells_median: float | None
    cells_p90: float | None
    drift: float | None  # median with its sign: the machine as a whole, slower or faster
    variants: int
    variants_median: float | None
    variants_most: float | None

    @property
    def met(self) -> bool:
        """Whether the cells agree."""
        return self.cells_median is not None and self.cells_median <= BAR


def repeat(
    first: Sequence[CellRow],
    second: Sequence[CellRow],
    predictions: Sequence[tuple[Predicted | None, Predicted | None]],
) -> Repeat:
    """Compare the cells of two tables and what both predict for the same variants."""
    before = {row.identity: row for row in first if row.p50_ns}
    common = [(before[row.identity], row) for row in second if row.identity in before and row.p50_ns]
    same = [(a, b) for a, b in common if a.schedule == b.schedule]
    cells = np.array([(b.p50_ns or 0.0) / (a.p50_ns or 1.0) - 1 for a, b in same])
    variants = np.array([b.ms / a.ms - 1 for a, b in predictions if a is not None and b is not None])
    return Repeat(
        cells=len(same),
        rescheduled=len(common) - len(same),
        cells_median=_quantile(np.abs(cells), 50),
        cells_p90=_quantile(np.abs(cells), 90),
        drift=_quantile(cells, 50),
        variants=len(variants),
        variants_median=_quantile(np.abs(variants), 50),
        variants_most=_quantile(np.abs(variants), 100),
    )


def _quantile(values: np.ndarray, percent: float) -> float | None:
    return float(np.percentile(values, percent)) if len(values) else None


def lines(name: str, found: Repeat) -> list[str]:
    """The comparison as text."""
    if found.cells_median is None or found.cells_p90 is None or found.drift is None:
        return [f"{name}, profiled twice: no cell of both was measured by one schedule"]
    verdict = "met" if found.met else f"missed by {100 * (found.cells_median - BAR):.1f} %"
    text = [
        f"{name}, profiled twice: {found.cells} cells are {100 * found.cells_median:.1f} % apart in the median "
        f"(asked ≤{100 * BAR:.0f} %: {verdict}), 90 % of them at most {100 * found.cells_p90:.1f} %; the second "
        f"profile {100 * found.drift:+.1f} %; {found.rescheduled} cells got another schedule"
    ]
    if found.variants_median is not None and found.variants_most is not None:
        text.append(
            f"  predictions of {found.variants} variants are {100 * found.variants_median:.1f} % apart in the median, "
            f"{100 * found.variants_most:.1f} % at most"
        )
    return text
