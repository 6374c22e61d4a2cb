"""Cells measured alone: for each a schedule is chosen by measuring, then the kernel is timed by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hwaware.compiler.choice import Choice, Variant
from hwaware.compiler.effort import effort
from hwaware.costs.choices import Choices
from hwaware.costs.row import CellRow
from hwaware.graph.workload import Workload
from hwaware.profiling.bench import Bench
from hwaware.profiling.cells import OWN
from hwaware.profiling.journal import Journal
from hwaware.profiling.tune import OnProgress, Options, Tuned, all_ways, batches, lighter, settled_ways, tune

_SEED = 1


@dataclass
class AloneBench:
    """Measures tiers of cells into a journal; `choosing` and `measured` are told how it goes."""

    bench: Bench
    journal: Journal
    choosing: OnProgress
    measured: Callable[[CellRow], None]

    def tier(self, tier: int, workloads: Sequence[Workload]) -> None:
        """Choose a schedule for each of `workloads`, all of one tier, and measure it.

        The model's own operations are searched and measured thoroughly. The ends of their widths decide between what
        was found there and the compiler's guess, and what decided it is their measurement. Raises what
        `Bench.measure` does; what was measured by then stands.
        """
        choices = Choices.of_rows(self.journal.rows)
        search = all_ways if tier == OWN else partial(settled_ways, choices=choices)
        ways = search(self.bench.target, self.bench.threads)
        parts = batches(workloads, ways)
        total, before = sum(count for _, count in parts), 0
        for part, count in parts:
            self._part(tier, part, ways, partial(self._chosen, before, total))
            before += count

    def _chosen(self, before: int, total: int, done: int, _: int, kind: str) -> None:
        self.choosing(before + done, total, kind)

    def _part(self, tier: int, workloads: Sequence[Workload], ways: Options, choosing: OnProgress) -> None:
        tuned = tune(self.bench, workloads, ways, choosing, _SEED)
        by_key = {workload.key: workload for workload in workloads}
        rest = []
        for workload in workloads:
            known = tuned[workload.key]
            if tier == OWN or known.row is None:
                rest.append(Variant(workload, known.choice))
            else:
                self._keep(workload, known.row, known)
        bench = self.bench if tier == OWN else replace(self.bench, effort=lighter(self.bench.effort))
        bench.measure(rest, lambda row: self._keep(by_key[row.key], row, tuned[row.key]), _SEED)

    def _keep(self, workload: Workload, row: CellRow, tuned: Tuned) -> None:
        counts = effort(workload, self.bench.target, Choice.parse(row.schedule), self.bench.threads)
        self.journal.append(
            replace(
                row,
                counts=tuple(map(float, counts)),
                tried=tuned.tried,
                displace_kb=self.bench.effort.displace_kb,
            )
        )
        self.measured(row)
