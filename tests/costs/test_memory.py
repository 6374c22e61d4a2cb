"""Peak memory: the fit finds what made the samples, stays within reason for few, and reads only what it wrote."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.costs.memory import MemoryModel, MemorySample, fit_memory
from hwaware.errors import TableError

PAGE = 4096
SIZES = st.integers(PAGE, 1 << 26)


def planned(weights: int, arena: int) -> int:
    """Pages of the weights, and of the arena behind 64 bytes of the allocator."""
    return (math.ceil(weights / PAGE) + math.ceil((arena + 64) / PAGE)) * PAGE


@given(
    models=st.lists(st.tuples(SIZES, SIZES, st.integers(1, 200)), min_size=3, max_size=12),
    fixed=st.integers(0, 60_000),
    per_op=st.integers(0, 2000),
)
def test_the_fit_finds_what_made_the_samples(models: list[tuple[int, int, int]], fixed: int, per_op: int) -> None:
    ops = [count for _, _, count in models]
    samples = [MemorySample(w, a, n, planned(w, a) + fixed + per_op * n) for w, a, n in models]
    fitted = fit_memory(samples, PAGE)
    if max(ops) >= 2 * min(ops):
        assert fitted.error < 1e-4
        for sample in samples:
            assert fitted.peak(sample.weights, sample.arena, sample.ops) == pytest.approx(sample.peak, rel=1e-3)
    assert fitted.samples == len(models)


@given(weights=SIZES, arena=SIZES, ops=st.integers(1, 200), extra=st.integers(0, 100_000))
def test_one_model_is_answered_for_exactly(weights: int, arena: int, ops: int, extra: int) -> None:
    fitted = fit_memory([MemorySample(weights, arena, ops, weights + arena + extra)], PAGE)
    assert fitted.peak(weights, arena, ops) == pytest.approx(weights + arena + extra, abs=1)


@given(weights=SIZES, arena=SIZES, ops=st.integers(1, 200), more=st.integers(1, 1 << 20))
def test_more_memory_is_never_a_lower_peak(weights: int, arena: int, ops: int, more: int) -> None:
    fitted = fit_memory([MemorySample(weights, arena, ops, weights + arena + 9000)], PAGE)
    here = fitted.peak(weights, arena, ops)
    assert fitted.peak(weights + more, arena, ops) >= here
    assert fitted.peak(weights, arena + more, ops) >= here
    assert fitted.peak(weights, arena, ops + more) >= here


def test_pages_are_noise_that_small_models_do_not_hide() -> None:
    """Ends of pages: what a model of 100 KB is off by counts for more than the same bytes of a large one."""
    small = [MemorySample(50_000, 50_000, 11, 100_000 + 8_000) for _ in range(3)]
    large = [MemorySample(5_000_000, 500_000, 11, 5_500_000 + 40_000)]
    fitted = fit_memory(small + large, PAGE)
    assert fitted.peak(50_000, 50_000, 11) == pytest.approx(108_000, rel=0.01)


def test_nothing_measured_is_no_fit() -> None:
    with pytest.raises(ValueError, match="no model"):
        fit_memory([], PAGE)


@given(
    st.builds(
        MemoryModel,
        page_bytes=st.integers(1, 1 << 16),
        fixed_bytes=st.floats(-1e6, 1e6),
        bytes_per_op=st.floats(0, 1e5),
        error=st.floats(0, 10),
        samples=st.integers(1, 1000),
    )
)
def test_it_survives_the_manifest(model: MemoryModel) -> None:
    assert MemoryModel.load(json.loads(json.dumps(model.document()))) == model


@pytest.mark.parametrize(
    "change", [{"fixed_bytes": "9"}, {"bytes_per_op": -1.0}, {"samples": 0}, {"page_bytes": 0}, {"error": None}]
)
def test_a_damaged_document_is_refused(change: dict[str, object]) -> None:
    document = MemoryModel(PAGE, 8000.0, 400.0, 0.01, 3).document() | change
    with pytest.raises(TableError, match=f"memory.{next(iter(change))}"):
        MemoryModel.load(document, "table.json")
