"""How work falls to threads: as the kernels' parallel loops have it, and by laws that hold for any work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tvm.tirx import For, ForKind, SeqStmt

from hwaware.compiler import sharing as home
from hwaware.compiler.choice import Choice
from hwaware.compiler.effort import NAMES, effort
from hwaware.compiler.kernel import SERIAL
from hwaware.compiler.schedules import candidates, generate
from hwaware.compiler.schedules.winograd import layout_of
from hwaware.compiler.sharing import busiest, sharing
from hwaware.compiler.targets import base_target
from hwaware.graph.workload import Workload
from tests.compiler.families import FAMILIES, program_of

TARGET = base_target("x86_64-avx2")
# Schedules whose steps are counted as rows of the output, which they only are by and large.
ROUGHLY = {"map", "reduce", "conv2d_transpose", "softmax", "layer_norm", "embedding", "matmul_dot"}


def cases() -> Iterator[tuple[Workload, Choice]]:
    works = {op.workload.key: op.workload for name in FAMILIES for op in program_of(name, 1)[1].ops}
    for work in works.values():
        for choice in candidates(work, TARGET):
            if choice.schedule not in ROUGHLY:
                yield work, choice


def loops(work: Workload, choice: Choice) -> list[int]:
    """Steps of each parallel loop of the kernel."""
    return list(extents(generate(work, TARGET, choice).function.body))


def extents(body: object) -> Iterator[int]:
    """Parallel loops stand outermost, or within a loop over strips."""
    if isinstance(body, SeqStmt):
        for item in body.seq:
            yield from extents(item)
    elif isinstance(body, For) and body.kind == ForKind.PARALLEL:
        yield int(body.extent)
    elif isinstance(body, For):
        yield from extents(body.body)


def test_the_steps_are_those_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def recorded(costs: Sequence[float], threads: int) -> float:
        counted.append(len(costs))
        return busiest(costs, threads)

    monkeypatch.setattr(home, "busiest", recorded)
    seen = set()
    for work, choice in cases():
        counted.clear()
        found = sharing(work, TARGET, choice, 2)
        steps = loops(work, choice)
        if choice.get(SERIAL, 0):
            assert (steps, found.work, found.launches) == ([], 1.0, 0)
            continue
        times = layout_of(work, TARGET, choice).strips if choice.get("split", 0) else 1
        if choice.schedule == "matmul":
            steps = steps[-1:]  # that before turns an operand round
        else:
            assert found.launches == len(steps) * times, (work.key, choice)
        # Loops of one step are none.
        assert {count for count in counted if count > 1} == set(steps), (work.key, choice)
        seen.add(choice.schedule)
    assert {"direct", "winograd", "depthwise", "pool2d", "copy"} <= seen


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=40), st.integers(1, 8))
def test_the_busiest_has_its_share_at_least(costs: list[float], threads: int) -> None:
    part = busiest(costs, threads)
    assert 1 / min(threads, len(costs)) - 1e-9 <= part <= 1 + 1e-9
    assert busiest(costs, 1) == pytest.approx(1)
    assert busiest(costs, len(costs)) == pytest.approx(max(costs) / sum(costs))


@pytest.mark.parametrize("threads", [1, 3])
def test_counts_are_those_of_the_busiest_thread(threads: int) -> None:
    for work, choice in cases():
        alone, among = effort(work, TARGET, choice), effort(work, TARGET, choice, threads)
        assert (among[:-1] <= alone[:-1] * (1 + 1e-9)).all()
        assert (among[1:-1] >= alone[1:-1] / threads * (1 - 1e-9)).all()
        assert NAMES[-1] == "launch"
        assert (among[-1] > 0) == (threads > 1 and bool(loops(work, choice)))
