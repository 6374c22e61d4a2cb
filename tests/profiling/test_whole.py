"""Whole models on an invented machine that is not always calm: which runs count, how many there are, what rows say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hwaware.compiler.schedules import variant
from hwaware.compiler.targets import base_target
from hwaware.costs.choices import Choices
from hwaware.costs.row import OK, UNSTABLE
from hwaware.devices.device import Device
from hwaware.devices.facts import DeviceFacts
from hwaware.graph.capture import capture
from hwaware.graph.lower import Program, lower
from hwaware.profiling import whole
from hwaware.profiling.calm import Calm, Witness
from hwaware.profiling.run import OpSamples, RunResult
from hwaware.profiling.spells import ENOUGH
from hwaware.profiling.target import target_of
from hwaware.profiling.whole import _AGAIN, _LOOKS, _ROUNDS, WholeBench, _Model
from tests.costs.captured import captured
from tests.devices.test_facts import PI
from tests.profiling.nets import tiny
from tests.profiling.test_conditions import QUIET

PROGRAM = lower(captured("residual"))
TARGET = base_target("x86_64")
OP_NS = 1e6
WHOLE_NS = OP_NS * len(PROGRAM.ops)


@dataclass
class Machine(WholeBench):
    """Runs take what they should times the answer of `speed` to the run's number; `calm` says whether it was so."""

    speed: Callable[[int], float] = lambda number: 1.0
    calm: Callable[[int], bool | None] = lambda number: True
    spread: float = 1.0
    ran: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def _made(self, programs: Mapping[str, Program], scratch: Path) -> dict[str, _Model]:
        choices = {op.workload.key: variant(op.workload, TARGET) for op in PROGRAM.ops}
        nothing: Any = None
        return {name: _Model(program, choices, nothing, name) for name, program in programs.items()}

    def _forget(self, kept: Collection[str]) -> None:
        self.removed += [name for name in self._last if name not in kept]

    def _run_once(self, model: _Model, seed: int) -> RunResult:
        number = len(self.ran)
        self.ran.append(model.place)
        time = self.speed(number)
        return RunResult(
            facts=DeviceFacts.from_dict(PI, "pi4"),
            threads=1,
            protocol=self.protocol,
            samples_ns=tuple(time * WHOLE_NS * self.spread**number for number in (-1, 0, 1) for _ in range(8)),
            cold_ns=1.0,
            weights=10,
            arena=20,
            peak_rss=30,
            state={},
            around=replace(QUIET, calm=self.calm(number)),
            ops=tuple(OpSamples(op.name, op.workload.key, (time * OP_NS,) * 24) for op in PROGRAM.ops),
        )


def machine(protocol: str = "pinned", **options: Any) -> Machine:
    nowhere: Any = SimpleNamespace()
    return Machine(nowhere, TARGET, 1, protocol, nowhere, **options)


def test_a_calm_machine_runs_a_model_as_often_as_planned() -> None:
    bench = machine()
    (run,) = bench.measure({"whole": PROGRAM}, seed=1)
    assert len(bench.ran) == _ROUNDS
    assert (run.latency_ns, run.sum_ns, run.steady) == (WHOLE_NS, pytest.approx(WHOLE_NS), True)
    assert {row.status for row in run.rows} == {OK}
    assert {row.key for row in run.rows} == {op.workload.key for op in PROGRAM.ops}


def test_runs_that_found_no_calm_moment_do_not_count() -> None:
    """Even if they were faster, as with threads on a processor that is not the usual one."""
    bench = machine(speed=lambda number: 0.5 if number % 2 else 1.0, calm=lambda number: number % 2 == 0)
    (run,) = bench.measure({"whole": PROGRAM}, seed=1)
    assert run.latency_ns == WHOLE_NS
    assert run.steady
    assert len(bench.ran) == 2 * ENOUGH - 1  # the last was calm again


def test_slow_runs_do_not_count_and_more_are_made() -> None:
    bench = machine(speed=lambda number: 1.0 if number >= _ROUNDS - 1 else 1.3)
    (run,) = bench.measure({"whole": PROGRAM}, seed=1)
    assert len(bench.ran) == _ROUNDS - 1 + ENOUGH
    assert run.latency_ns == WHOLE_NS
    assert {row.status for row in run.rows} == {OK}


def test_with_no_calm_moment_at_all_rows_say_so() -> None:
    bench = machine(calm=lambda number: False)
    (run,) = bench.measure({"whole": PROGRAM}, seed=1)
    assert len(bench.ran) == _ROUNDS + _AGAIN
    assert not run.steady
    assert {row.status for row in run.rows} == {UNSTABLE}
    assert "something else had the processor" in run.rows[0].reason


def test_one_fast_run_among_slow_ones_is_not_believed_blindly() -> None:
    bench = machine(speed=lambda number: 1.0 if number == 0 else 1.3)
    (run,) = bench.measure({"whole": PROGRAM}, seed=1)
    assert {row.status for row in run.rows} == {UNSTABLE}
    assert f"only 1 of {_ROUNDS + _AGAIN} runs" in run.rows[0].reason


def test_models_are_run_again_along_with_the_next_and_then_forgotten() -> None:
    bench = machine(speed=lambda number: 1.3 if number < _ROUNDS else 1.0)
    (slow,) = bench.measure({"first": PROGRAM}, seed=1)
    runs = {run.name: run for run in bench.measure({"second": PROGRAM}, seed=2)}
    assert slow.latency_ns == pytest.approx(1.3 * WHOLE_NS)
    assert {name: run.latency_ns for name, run in runs.items()} == {"first": WHOLE_NS, "second": WHOLE_NS}
    assert bench.ran.count("first") == _ROUNDS + ENOUGH  # two looks, and more until enough agree
    assert bench.removed == ["first"]
    assert [run.name for run in bench.again(seed=3)] == ["second"]
    assert bench.ran.count("second") == _ROUNDS + _LOOKS


def test_a_model_that_is_asked_for_again_keeps_its_place_and_its_runs() -> None:
    bench = machine(calm=lambda number: number >= _ROUNDS + _AGAIN)
    (spoilt,) = bench.measure({"free": PROGRAM}, seed=1)
    (good,) = bench.measure({"free": PROGRAM}, seed=2)
    assert (spoilt.steady, good.steady) == (False, True)
    assert bench.removed == []
    assert [run.name for run in bench.again(seed=3)] == ["free"]
    assert bench.removed == ["free"]


def test_on_a_machine_that_is_never_calm_models_are_measured_again_nevertheless(
    local: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "_ROUNDS", 1)
    monkeypatch.setattr(whole, "_AGAIN", 0)
    monkeypatch.setattr(Witness, "calm", property(lambda self: Calm(1.0, None)))
    module, inputs = tiny()
    program = lower(capture(module, inputs))
    bench = WholeBench(local, target_of(local), 1, "pinned", Choices())
    with local.transport.lease(wait=60):
        found = [run for seed in (1, 2) for run in bench.measure({"free0": program}, seed)]
        found += bench.measure({"free4": program}, seed=3)
        found += bench.again(seed=4)
        left = list(Path(local.transport.cache).glob("**/free*"))
    assert [run.name for run in found] == ["free0", "free0", "free4", "free0", "free4"]
    assert not any(run.steady for run in found)
    assert left == []


def test_as_shipped_one_run_tells_all() -> None:
    """Whatever its samples: threads that are not pinned spread them."""
    bench = machine("as-shipped", speed=lambda number: 1.3, calm=lambda number: None, spread=1.1)
    (run,) = bench.measure({"whole": PROGRAM}, seed=1)
    assert (bench.ran, run.latency_ns) == (["whole"], pytest.approx(1.3 * WHOLE_NS))
    assert bench.again(seed=2) == []
