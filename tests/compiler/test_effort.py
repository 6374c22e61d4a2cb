"""What is counted of a kernel agrees with what it computes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.compiler.choice import Choice
from hwaware.compiler.effort import NAMES, TYPICAL, effort
from hwaware.compiler.kernel import KernelBuilder
from hwaware.compiler.schedules import SCHEDULES, candidates
from hwaware.compiler.targets import restored_target
from hwaware.graph.arithmetic import multiply_adds
from hwaware.graph.lower import lower
from tests.costs.captured import captured
from tests.costs.tables import conv
from tests.graph.nets import NETS

TARGETS = [restored_target({"name": name}) for name in ("x86_64-avx2", "x86_64-avx512", "aarch64", "armv7-neon")]


def count(name: str, counts: np.ndarray) -> float:
    return float(counts[NAMES.index(name)])


@given(
    inside=st.integers(1, 70),
    outside=st.integers(1, 70),
    size=st.integers(3, 12),
    target=st.sampled_from(TARGETS),
    positions=st.integers(1, 12),
    vectors=st.integers(1, 6),
)
@settings(deadline=None)
def test_direct_convolution_adds_at_least_what_the_convolution_does(
    inside: int, outside: int, size: int, target, positions: int, vectors: int
) -> None:
    """Whatever the tile: padded lanes and the border's taps are counted, nothing is left out."""
    work = conv(inside, outside, size)
    counts = effort(work, target, Choice.of("direct", positions=positions, vectors=vectors))
    lanes = target.lanes
    most = lanes * count("add", counts) + lanes / 2 * count("add_half", counts) + lanes / 4 * count("add_part", counts)
    assert most >= multiply_adds(work)
    if outside % lanes == 0:
        assert lanes * count("add", counts) == multiply_adds(work)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("name", NETS)
def test_all_that_can_be_generated_can_be_counted(name: str, target) -> None:
    for op in lower(captured(name)).ops:
        for choice in candidates(op.workload, target):
            counts = effort(op.workload, target, choice)
            assert counts.shape == (len(NAMES),) == (len(TYPICAL),)
            assert np.isfinite(counts).all()
            assert (counts >= 0).all()
            assert count("call", counts) == 1
            assert choice.schedule in SCHEDULES


@pytest.mark.parametrize("choice", [Choice.of("direct", positions=6, vectors=2), Choice.of("winograd", tile=4)])
def test_more_whole_vectors_are_never_less_work(choice: Choice) -> None:
    target = TARGETS[0]
    for inside, outside in itertools.product((8, 16, 24), (8, 16, 32, 40)):
        less, more = (effort(conv(inside, out, 12), target, choice) for out in (outside, outside + 2 * target.lanes))
        assert (more @ TYPICAL) > (less @ TYPICAL)
        wider = effort(conv(inside + target.lanes, outside, 12), target, choice)
        assert (wider @ TYPICAL) > (less @ TYPICAL)


def test_a_widths_tail_costs_what_its_pieces_do() -> None:
    """15 channels are 8 + 4 + 2 + 1 for a depthwise convolution, two padded vectors for a plain one."""
    target = TARGETS[0]
    depthwise = effort(conv(15, 15, groups=15), target, Choice.of("depthwise"))
    assert count("add", depthwise) == count("add_half", depthwise) == 36 * 9
    assert count("add_part", depthwise) == 2 * 36 * 9
    plain = effort(conv(3, 15), target, Choice.of("direct", positions=6, vectors=2))
    assert count("add", plain) == 2 * 36 * 27


def test_kernels_are_written_by_the_tiling_that_is_counted() -> None:
    """The counted tiles are those of the code: the packed weights have the padding of the counted vectors."""
    target = TARGETS[0]
    choice = Choice.of("direct", positions=6, vectors=2)
    kernel = SCHEDULES["direct"](KernelBuilder(conv(3, 13), target, choice))
    weights = next(argument.size for argument in kernel.arguments if argument.role == "weight")
    counts = effort(conv(3, 13), target, choice)
    vectors = (count("add", counts) + count("add_half", counts) + count("add_part", counts)) / (36 * 27)
    assert weights == 27 * 16
    assert vectors == 2
