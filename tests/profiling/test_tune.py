"""The choice of schedules by measuring."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import SERIAL
from hwaware.compiler.schedules import candidates
from hwaware.compiler.targets import base_target
from hwaware.costs.choices import Choices
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device
from hwaware.graph.workload import Step
from hwaware.profiling import tune as tuning
from hwaware.profiling.bench import BUNDLE, Bench, Effort
from hwaware.profiling.profile import profile
from hwaware.profiling.schedules import search_choices, table_choices
from hwaware.profiling.target import target_of
from hwaware.profiling.tune import Tuned, all_ways, batches, fastest, settled_ways, tune
from tests.costs.tables import conv
from tests.profiling.nets import tiny

A, B, C = (Choice.of("conv2d", positions=count) for count in (1, 2, 3))
X86 = base_target("x86_64-avx2")


def test_the_fastest_is_chosen_and_what_was_tried_is_told() -> None:
    assert fastest([A, B, C], {str(A): 100.0, str(B): 80.0, str(C): 300.0}) == Tuned(
        B, (f"{B}=80", f"{A}=100", f"{C}=300")
    )
    assert fastest([A, B], {str(A): 100.0, str(B): 99.5}).choice == A  # within the noise
    assert fastest([A, B], {str(B): 500.0}).choice == B  # the guess did not run
    assert fastest([A, B], {}) == Tuned(A)


def test_small_work_may_stay_on_one_thread() -> None:
    small, large = conv(4, 8), conv(256, 256, 28)
    assert all_ways(X86, 1)(small) == candidates(small, X86)
    assert {choice.get(SERIAL, 0) for choice in all_ways(X86, 2)(small)} == {0, 1}
    assert {choice.get(SERIAL, 0) for choice in all_ways(X86, 2)(large)} == {0}


def test_a_settled_search_asks_the_neighbour_and_the_compiler() -> None:
    choices = Choices()
    guess = candidates(conv(16, 16), X86)[0]
    other = guess.replaced(**{SERIAL: 1})
    choices.add(conv(16, 16), other)
    assert list(settled_ways(X86, 1, choices)(conv(12, 16))) == [other, guess]


@given(
    widths=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.booleans()), unique=True),
    each=st.integers(1, 70),
)
def test_batches_hold_every_workload_once_and_what_is_measured_as_one_together(
    widths: list[tuple[int, int, bool]], each: int
) -> None:
    plain = {(a, b): conv(a, b) for a, b, _ in widths}
    workloads = [
        replace(plain[a, b], epilogue=(*plain[a, b].epilogue, Step("relu"))) if stepped else plain[a, b]
        for a, b, stepped in widths
    ]
    ways = [A.replaced(positions=number) for number in range(each)]
    parts = batches(workloads, lambda _: ways)
    assert sorted(one.key for part, _ in parts for one in part) == sorted(one.key for one in workloads)
    anchors = [{one.key.rsplit("|", 1)[0] for one in part} for part, _ in parts]
    assert sum(map(len, anchors)) == len(set().union(*anchors))
    for (_, count), known in zip(parts, anchors, strict=True):
        assert count == (len(known) * each if each > 1 else 0)
        assert count <= BUNDLE or len(known) == 1


def test_workloads_that_differ_in_their_steps_share_a_search(local: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    real = Bench.measure

    def measure(self: Bench, variants: list[tuning.Variant], *rest: object) -> None:
        measured.extend(variants)
        real(self, variants, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Bench, "measure", measure)
    plain = conv(4, 8)
    stepped = replace(plain, epilogue=(*plain.epilogue, Step("relu")))
    target = target_of(local)
    bench = Bench(local, target, 1, Effort(64))
    first = candidates(plain, target)[0]
    options = (first, first.replaced(**{SERIAL: 1}))
    with local.transport.lease(wait=60):
        tuned = tune(bench, [plain, stepped], lambda _: options)
    assert [(one.workload.key, one.choice) for one in measured] == [(plain.key, choice) for choice in options]
    assert set(tuned) == {plain.key, stepped.key}
    assert tuned[plain.key] == tuned[stepped.key]
    assert len(tuned[plain.key].tried) == 2


def test_rows_say_what_was_chosen_and_artifacts_take_it_over(local: Device, tmp_path: object) -> None:
    module, inputs = tiny()
    table = profile(module, inputs, local, out=tmp_path / "table", threads=2, rounds=0)  # type: ignore[operator]
    own = [row for row in table.rows if row.tried]
    assert own, "nothing was searched"
    for row in own:
        times = [float(text.rsplit("=", 1)[1]) for text in row.tried]
        assert times == sorted(times)
        assert row.schedule in [text.rsplit("=", 1)[0] for text in row.tried]
    assert all(Choice.parse(row.schedule) for row in table.rows)
    again = CostTable.load(tmp_path / "table")  # type: ignore[operator]
    choices = table_choices(again, local)
    assert len(choices) == len({row.key for row in table.rows if row.usable})
    known = search_choices(module, inputs, local, threads=2, known=choices)  # searches nothing
    assert len(known) > 0
