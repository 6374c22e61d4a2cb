"""Rounds of whole variants: measure where the table is least sure, and find out how sure it may be.

Each round draws narrower variants of the model. Most have widths anywhere, which tests the table: they are predicted
before they are measured. The others are those of several draws whose prediction is least certain. All of them teach
the table; rounds end once it predicts about as well as whole models can be measured, or the time is over.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from hwaware.costs.calibrate import Known, calibrated
from hwaware.costs.memory import MemoryModel
from hwaware.costs.model import CostModel
from hwaware.costs.model_check import PROFILE, TRAINING, ModelCheck, digest_of
from hwaware.costs.prediction import Prediction
from hwaware.costs.row import CellRow
from hwaware.costs.table import CostTable
from hwaware.graph.lower import Program
from hwaware.profiling.variants import Variants
from hwaware.profiling.whole import WholeBench
from hwaware.profiling.whole_run import WholeRun

# Variants of a round: drawn freely, and chosen for doubt from so many draws.
FREE, CHOSEN, DRAWS = 4, 2, 6
# Rounds at least and at most, and how many of the last have to come out well. Of six measured series, five nets on two
# threads and one on one, none was predicted better by five or six rounds than by four.
_LEAST, MOST_ROUNDS, _LAST = 2, 4, 2
# What is well: root mean square and largest of the relative errors.
_RMS, _WORST = 0.02, 0.05
# How often something that was measured in a slow spell of the machine is left out.
PATIENCE = 3
_WHOLE, _FREELY, _STEPS = "whole", "free", "step"


@dataclass(frozen=True)
class Outcome:
    """A variant that was measured: `check` has what the table had said before, `sum_ns` that of its operations."""

    check: ModelCheck
    program: Program
    sum_ns: float
    rows: tuple[CellRow, ...] = ()

    @property
    def known(self) -> Known:
        """What calibration needs of it."""
        return Known(self.program, self.check.measured_ms * 1e6, self.sum_ns, drawn=self.check.held_out)


@dataclass
class Rounds:
    """Rounds over the `variants` of model `name`, itself `program`.

    `table` gives the table as it stands, `keep` takes what was measured, and what it replaces. There are at most `most`
    rounds; `outcomes` are all so far.
    """

    name: str
    bench: WholeBench
    variants: Variants
    program: Program
    table: Callable[[], CostTable]
    keep: Callable[[Sequence[Outcome], Sequence[Outcome]], None]
    most: int = MOST_ROUNDS
    outcomes: list[Outcome] = field(default_factory=list)
    _said: dict[str, Prediction] = field(default_factory=dict, repr=False)
    _slow: int = 0

    def recall(self, checks: Sequence[ModelCheck], rows: Sequence[CellRow]) -> None:
        """Take up the outcomes of an earlier profile: its `checks` and the `rows` of the state ``graph``."""
        times = {row.key: row.p50_ns for row in rows if row.p50_ns is not None}
        for check in checks:
            model, _, variant = check.model.rpartition("~")
            if model != self.name or check.source not in (PROFILE, TRAINING):
                continue
            program = self.program if variant == _WHOLE else self.variants.program(variant)
            if program is not None and all(op.workload.key in times for op in program.ops):
                total = sum(times[op.workload.key] for op in program.ops)
                self.outcomes.append(Outcome(check, program, total))

    @property
    def done(self) -> int:
        """Rounds that were measured."""
        known = {outcome.check.model.rpartition("~")[2] for outcome in self.outcomes}
        return next(number for number in itertools.count() if not known & set(_names(_FREELY, number, FREE)))

    @property
    def settled(self) -> bool:
        """Whether another round would hardly make the table better."""
        if self.done >= self.most or (self.outcomes and not (self.variants.groups or self.variants.precisions)):
            return True
        errors = [outcome.check.error for outcome in self.tests]
        rms = (sum(error**2 for error in errors) / max(1, len(errors))) ** 0.5
        return self.done >= _LEAST and rms <= _RMS and max(map(abs, errors), default=0.0) <= _WORST

    @property
    def tests(self) -> list[Outcome]:
        """The free variants of the last rounds: what the table, nearly as it is now, was tested on."""
        number = self.done
        names = {name for last in range(max(0, number - _LAST), number) for name in _names(_FREELY, last, FREE)}
        return [outcome for outcome in self.outcomes if outcome.check.model.rpartition("~")[2] in names]

    def next(self) -> None:
        """Measure one more round. Raises BuildError, DeviceError."""
        number = self.done
        costs = CostModel(calibrated(self.table(), self.name, [outcome.known for outcome in self.outcomes]))
        free = {name: self.variants.program(name) for name in _names(_FREELY, number, FREE)}
        programs = {name: program for name, program in free.items() if program is not None}
        programs |= self._least_certain(costs, number)
        if not self.outcomes:
            programs |= {_WHOLE: self.program}
        said = {name: costs.predict(program, {}, partial=True) for name, program in programs.items()}
        self._said |= said
        self._take(self.bench.measure(programs, seed=number + 1))

    def look_again(self) -> None:
        """Run the last round's variants once more, as earlier ones were with the next round. Raises DeviceError."""
        self._take(self.bench.again(seed=self.done + 1))

    def _take(self, runs: Sequence[WholeRun]) -> None:
        """Outcomes of `runs`: new ones, and such as replace what is known.

        What was measured while the machine was slower than before is no outcome: it may be one once it was run along
        with the next round, or its round is begun again. That happens `PATIENCE` times, then it counts.
        """
        places = {outcome.check.model: place for place, outcome in enumerate(self.outcomes)}
        renewed = {places[model]: run for run in runs if (model := f"{self.name}~{run.name}") in places and run.steady}
        fresh = [run for run in runs if f"{self.name}~{run.name}" not in places]
        self._slow += any(not run.steady for run in fresh)
        new = [self._outcome(run, self._said[run.name]) for run in fresh if run.steady or self._slow > PATIENCE]
        old = [self.outcomes[place] for place in renewed]
        again = [_renewed(self.outcomes[place], run) for place, run in renewed.items()]
        self.keep([*new, *again], old)
        for place, outcome in zip(renewed, again, strict=True):
            self.outcomes[place] = outcome
        self.outcomes += new

    def _least_certain(self, costs: CostModel, number: int) -> dict[str, Program]:
        drawn = {name: self.variants.program(name) for name in _names(_STEPS, number, DRAWS)}
        programs = {name: program for name, program in drawn.items() if program is not None}
        doubts = {name: costs.predict(program, {}, partial=True).doubt for name, program in programs.items()}
        return {name: programs[name] for name in sorted(programs, key=lambda name: -doubts[name])[:CHOSEN]}

    def _outcome(self, run: WholeRun, said: Prediction) -> Outcome:
        check = ModelCheck(
            model=f"{self.name}~{run.name}",
            digest=digest_of(op.workload.key for op in run.program.ops),
            threads=self.bench.threads,
            held_out=run.name.startswith(_FREELY),
            predicted_ms=said.latency_ms,
            low_ms=said.interval_ms[0],
            high_ms=said.interval_ms[1],
            measured_ms=run.latency_ns / 1e6,
            ci95_low_ms=run.ci95_ns[0] / 1e6,
            ci95_high_ms=run.ci95_ns[1] / 1e6,
            predicted_rss=self._peak(run),
            measured_rss=run.peak_rss,
            weights=run.weights,
            arena=run.arena,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            source=PROFILE if run.name.startswith(_FREELY) else TRAINING,
        )
        return Outcome(check, run.program, run.sum_ns, run.rows)

    def _peak(self, run: WholeRun) -> int | None:
        memory = self.table().manifest.memory
        return None if memory is None else MemoryModel.load(memory).peak(run.weights, run.arena, len(run.program.ops))

    def checks(self) -> list[ModelCheck]:
        """All checks: those of earlier rounds have taught the table, and test it no longer."""
        tests = {outcome.check.model for outcome in self.tests}
        found = [
            outcome.check if outcome.check.model in tests else replace(outcome.check, source=TRAINING)
            for outcome in self.outcomes
        ]
        # A small model's draws may meet: two of the same operations are one check.
        return list({(check.digest, check.source): check for check in found}.values())


def _renewed(outcome: Outcome, run: WholeRun) -> Outcome:
    """`outcome` with what was measured since; what had been predicted stays."""
    check = replace(
        outcome.check,
        measured_ms=run.latency_ns / 1e6,
        ci95_low_ms=run.ci95_ns[0] / 1e6,
        ci95_high_ms=run.ci95_ns[1] / 1e6,
        measured_rss=run.peak_rss,
    )
    return Outcome(check, outcome.program, run.sum_ns, run.rows)


def _names(kind: str, number: int, count: int) -> list[str]:
    """Names of the draws of round `number`."""
    return [f"{kind}{number * count + index}" for index in range(count)]
