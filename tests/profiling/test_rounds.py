"""Rounds of whole variants on an invented device: predicted before they are measured, chosen, counted, recalled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from hwaware.costs.model_check import TRAINING, ModelCheck
from hwaware.costs.row import GRAPH, CellRow
from hwaware.costs.table import CostTable
from hwaware.graph.lower import Program, lower
from hwaware.profiling.cells import model_cells
from hwaware.profiling.rounds import CHOSEN, FREE, MOST_ROUNDS, PATIENCE, Outcome, Rounds
from hwaware.profiling.variants import Variants, prunable_groups
from hwaware.profiling.whole_run import WholeRun
from tests.costs.captured import captured
from tests.costs.tables import LANES, row, table
from tests.costs.test_model import work_ns

GRAPH_OF = captured("residual")
# The invented device knows that it is in a slow spell from here on.
UNSTEADY = 3.0


@dataclass
class Invented:
    """A device that takes what the counts say, times the next of `speeds` for each whole run."""

    speeds: Iterator[float]
    threads: int = 1
    asked: list[list[str]] = field(default_factory=list)
    last: dict[str, Program] = field(default_factory=dict)

    def measure(self, programs: Mapping[str, Program], seed: int) -> list[WholeRun]:
        self.asked.append(list(programs))
        self.last = dict(programs)
        return [self._run(name, program) for name, program in programs.items()]

    def again(self, seed: int) -> list[WholeRun]:
        return [self._run(name, program) for name, program in self.last.items()]

    def _run(self, name: str, program: Program) -> WholeRun:
        speed = next(self.speeds)
        steady = speed < UNSTEADY
        works = {op.workload.key: op.workload for op in program.ops}
        rows = tuple(row(work, speed * work_ns(work), state=GRAPH) for work in works.values())
        total = sum(speed * work_ns(op.workload) for op in program.ops)
        return WholeRun(name, program, total, (0.99 * total, 1.01 * total), total, 1000, 2000, 5000, rows, steady)


@dataclass
class Desk:
    """Rounds over an invented device, with what they keep."""

    device: Invented
    rows: dict[tuple[str, str], CellRow]
    most: int = MOST_ROUNDS

    def __post_init__(self) -> None:
        self.rounds = Rounds(
            name="net",
            bench=self.device,  # type: ignore[arg-type]
            variants=Variants(GRAPH_OF, prunable_groups(GRAPH_OF), LANES),
            program=lower(GRAPH_OF),
            table=self._table,
            keep=self._keep,
            most=self.most,
        )

    def _table(self) -> CostTable:
        return table(list(self.rows.values()))

    def _keep(self, found: Sequence[Outcome], old: Sequence[Outcome]) -> None:
        outdated = {one.identity for outcome in old for one in outcome.rows if self.rows[one.identity] == one}
        new = {one.identity: one for outcome in found for one in outcome.rows}
        self.rows |= {place: one for place, one in new.items() if place in outdated or place not in self.rows}

    def finish(self) -> None:
        while not self.rounds.settled:
            self.rounds.next()


def desk(speeds: Iterator[float] | None = None, **options: Any) -> Desk:
    cells = [row(cell.workload, work_ns(cell.workload)) for cell in model_cells(GRAPH_OF, LANES)]
    device = Invented(itertools.repeat(1.0) if speeds is None else speeds)
    return Desk(device, {one.identity: one for one in cells}, **options)


# Rounds end before that, once predictions are good.
_PLENTY = 2 * MOST_ROUNDS


@pytest.fixture(scope="module")
def steady() -> Desk:
    made = desk(most=_PLENTY)
    made.finish()
    return made


def test_a_steady_device_needs_few_rounds(steady: Desk) -> None:
    assert 2 <= steady.rounds.done < _PLENTY
    assert len(steady.device.asked) == steady.rounds.done
    errors = [abs(outcome.check.error) for outcome in steady.rounds.tests]
    assert max(errors) <= 0.05


def test_the_model_itself_is_measured_first_and_once(steady: Desk) -> None:
    assert [names.count("whole") for names in steady.device.asked] == [1] + [0] * (steady.rounds.done - 1)


def test_no_draw_comes_twice_and_each_round_has_its_share(steady: Desk) -> None:
    names = [name for names in steady.device.asked for name in names if name != "whole"]
    assert len(names) == len(set(names)) == steady.rounds.done * (FREE + CHOSEN)
    for asked in steady.device.asked:
        assert sum(name.startswith("free") for name in asked) == FREE
        assert sum(name.startswith("step") for name in asked) == CHOSEN


def test_predictions_were_made_before_measuring() -> None:
    """A device that is twice as slow in its second round: the first is off by what alone says, the second by half."""
    made = desk(itertools.chain(itertools.repeat(1.0, 1 + FREE + CHOSEN), itertools.repeat(2.0)))
    made.rounds.next()
    made.rounds.next()
    second = [
        one.check for one in made.rounds.outcomes if one.check.model in {f"net~free{FREE + i}" for i in range(FREE)}
    ]
    assert len(second) == FREE
    assert all(-0.6 < check.error < -0.4 for check in second)


def test_what_was_measured_in_a_slow_spell_is_replaced() -> None:
    """A device that is twice as slow in its first round, and looks once more later."""
    count = 1 + FREE + CHOSEN
    made = desk(itertools.chain(itertools.repeat(2.0, count), itertools.repeat(1.0)))
    made.rounds.next()
    slow = list(made.rounds.outcomes)
    made.rounds.look_again()
    assert [one.check.model for one in made.rounds.outcomes] == [one.check.model for one in slow]
    for before, after in zip(slow, made.rounds.outcomes, strict=True):
        assert after.check.measured_ms == pytest.approx(before.check.measured_ms / 2)
        assert after.check.predicted_ms == before.check.predicted_ms
        assert after.known.sum_ns == pytest.approx(before.known.sum_ns / 2)
    graph = [one for one in made.rows.values() if one.state == GRAPH]
    assert {one.identity for one in graph} == {one.identity for outcome in slow for one in outcome.rows}
    assert all(one in {item for outcome in made.rounds.outcomes for item in outcome.rows} for one in graph)


def test_a_round_in_a_slow_spell_is_begun_again() -> None:
    count = 1 + FREE + CHOSEN
    made = desk(itertools.chain(itertools.repeat(4.0, count), itertools.repeat(1.0)))
    made.rounds.next()
    assert (made.rounds.done, made.rounds.outcomes) == (0, [])
    made.finish()
    assert made.device.asked[0] == made.device.asked[1]
    for outcome in made.rounds.outcomes:
        whole = sum(work_ns(op.workload) for op in outcome.program.ops)
        assert outcome.check.measured_ms * 1e6 == pytest.approx(whole)


def test_what_a_slow_spell_left_out_comes_with_the_next_round() -> None:
    count = 1 + FREE + CHOSEN
    made = desk(itertools.chain([4.0], itertools.repeat(1.0)))
    made.rounds.next()
    assert len(made.rounds.outcomes) == count - 1
    made.rounds.look_again()
    assert len(made.rounds.outcomes) == count


def test_a_device_that_is_never_steady_is_taken_as_it_is() -> None:
    made = desk(itertools.repeat(4.0), most=2)
    made.finish()
    assert len(made.device.asked) == 2 + PATIENCE
    assert made.rounds.done == 2


def test_only_the_last_free_draws_test_the_table(steady: Desk) -> None:
    checks = steady.rounds.checks()
    tests = {check.model for check in checks if check.source != TRAINING}
    last = steady.rounds.done
    assert tests <= {f"net~free{index}" for index in range((last - 2) * FREE, last * FREE)}
    assert all(check.held_out == check.model.startswith("net~free") for check in checks)
    assert len({(check.digest, check.source) for check in checks}) == len(checks)


def test_an_unsteady_device_gets_no_more_rounds_than_it_may() -> None:
    made = desk(itertools.cycle([1.0, 1.3, 0.8]), most=4)
    made.finish()
    assert made.rounds.done == 4


def test_no_rounds_measure_nothing() -> None:
    made = desk(most=0)
    made.finish()
    assert made.device.asked == []


def test_an_interrupted_profile_goes_on_where_it_was(steady: Desk) -> None:
    checks: list[ModelCheck] = [outcome.check for outcome in steady.rounds.outcomes]
    again = Desk(Invented(itertools.repeat(1.0)), dict(steady.rows))
    graph = [one for one in steady.rows.values() if one.state == GRAPH]
    again.rounds.recall(checks, graph)
    assert again.rounds.done == steady.rounds.done
    assert again.rounds.settled
    assert [one.known.sum_ns for one in again.rounds.outcomes] == pytest.approx(
        [one.known.sum_ns for one in steady.rounds.outcomes], rel=0.01
    )
    partly = Desk(Invented(itertools.repeat(1.0)), dict(steady.rows))
    first = {f"net~{name}" for name in steady.device.asked[0]}
    partly.rounds.recall([check for check in checks if check.model in first], graph)
    assert partly.rounds.done == 1
    partly.rounds.next()
    assert not set(partly.device.asked[0]) & {name.removeprefix("net~") for name in first}


def test_a_check_whose_rows_were_lost_is_not_taken_up(steady: Desk) -> None:
    again = Desk(Invented(itertools.repeat(1.0)), dict(steady.rows))
    again.rounds.recall([outcome.check for outcome in steady.rounds.outcomes], [])
    assert again.rounds.outcomes == []
