"""Observers against brute force over all values at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hwaware.compression.quantize.affine import SMALLEST, Affine, affine
from hwaware.compression.quantize.histogram import Histogram
from hwaware.compression.quantize.observers import (
    OBSERVERS,
    Least,
    MinMax,
    ObserverName,
    Percentile,
    checked,
    divergence,
    squared_error,
)
from hwaware.errors import TaskError
from hwaware.graph.integer import dequantize, quantize

NAMES = list(OBSERVERS)


def normal(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


def observed(name: ObserverName, values: Tensor, parts: int = 3) -> Affine:
    observer = OBSERVERS[name]()
    for part in values.chunk(parts):
        observer.add(part)
    return observer.levels()


def error(values: Tensor, levels: Affine) -> float:
    scale, zero = torch.tensor(levels.scale), torch.tensor(levels.zero, dtype=torch.int32)
    return float((dequantize(quantize(values, scale, zero), scale, zero) - values).double().square().sum())


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_levels_hold_0_exactly_and_span_the_range(low: float, high: float) -> None:
    levels = affine(low, high)
    assert 0 <= levels.zero <= 255
    assert levels.scale >= SMALLEST
    assert levels.scale == float(np.float32(levels.scale))
    assert levels.low <= 0 <= levels.high
    if high - low > 255 * SMALLEST:
        half = 0.51 * levels.scale
        assert levels.low <= min(low, 0) + half
        assert levels.high >= max(high, 0) - half


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("constant", [0.0, 1e-30, 0.7, -3.0, 1e30])
def test_constant_values_get_a_valid_scale(name: ObserverName, constant: float) -> None:
    values = torch.full((64,), constant)
    levels = observed(name, values)
    assert levels.scale >= SMALLEST
    assert math.isfinite(levels.scale)
    assert error(values, levels) <= 64 * (1e-2 * constant + 1e-20) ** 2


@pytest.mark.parametrize("name", NAMES)
def test_nothing_seen_gives_a_valid_scale(name: ObserverName) -> None:
    observer = OBSERVERS[name]()
    observer.add(torch.zeros(0, 3))
    assert observer.levels() == affine(0.0, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_and_the_size_of_batches_do_not_matter(name: ObserverName) -> None:
    values = normal(3000).relu() * torch.linspace(0.01, 3, 3000)
    assert observed(name, values, 1) == observed(name, values, 7) == observed(name, values.flip(0), 3)


def test_minmax_is_the_extremes() -> None:
    values = normal(1000)
    assert observed("minmax", values) == affine(float(values.min()), float(values.max()))


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=50), st.floats(0, 1))
def test_quantiles_are_those_of_all_values(values: list[float], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(torch.tensor([value]))
    found = histogram.quantile(share)
    low, high = np.quantile(values, share, method="lower"), np.quantile(values, share, method="higher")
    # The rank may be one off where share · count is a whole number.
    ranked = sorted(values)
    below = ranked[max(0, ranked.index(float(low)) - 1)]
    assert below - histogram.width <= found <= high + histogram.width


@pytest.mark.parametrize("percent", [90.0, 99.0])
def test_percentile_is_numpy_s(percent: float) -> None:
    values = torch.cat([normal(5000).relu(), torch.tensor([100.0])])
    observer = Percentile(percent)
    for part in values.chunk(4):
        observer.add(part)
    tail = (100 - percent) / 200
    low, high = np.quantile(values.numpy(), [tail, 1 - tail])
    levels = observer.levels()
    # To within a bin: a share of 1 / 4096 of the largest value.
    assert levels.scale * 255 == pytest.approx(high - low, abs=100 / 2048)
    assert levels.low == 0


def test_a_histogram_is_that_of_all_values_at_its_last_width() -> None:
    values = torch.cat([normal(500) * size for size in (1e-6, 1e-2, 1.0, 300.0)] + [torch.zeros(7)])
    histogram = Histogram()
    for part in values.chunk(9):
        histogram.add(part)
    assert (histogram.low, histogram.high) == (float(values.min()), float(values.max()))
    assert histogram.zeros == 7
    index, counts = np.unique(np.floor(values[values != 0].double().numpy() / histogram.width), return_counts=True)
    assert histogram.counts.tolist() == counts.tolist()
    assert histogram.centres.tolist() == ((index + 0.5) * histogram.width).tolist()
    assert float(values.abs().max()) / histogram.width > 2048


@pytest.mark.parametrize("shape", ["normal", "relu", "outlier", "shifted"])
def test_mse_is_close_to_the_best_by_brute_force(shape: str) -> None:
    values = normal(4000)
    values = {
        "normal": values,
        "relu": values.relu(),
        "outlier": torch.cat([values, torch.tensor([60.0])]),
        "shifted": values.sigmoid() - 0.1,
    }[shape]
    low, high = min(0.0, float(values.min())), float(values.max())
    shares = [step / 16 for step in range(1, 17)]
    best = min(error(values, affine(low * a, high * b)) for a in shares for b in shares)
    ours = error(values, observed("mse", values))
    assert ours <= 1.01 * best
    assert ours <= error(values, observed("minmax", values))


def test_the_histogram_s_error_is_that_of_the_values() -> None:
    values, histogram = normal(2000), Histogram()
    histogram.add(values)
    levels = affine(-1.5, 2.0)
    found = squared_error(histogram.centres, histogram.counts, levels)
    assert found == pytest.approx(error(values, levels), rel=1e-3)


def reference_divergence(values: np.ndarray, levels: Affine, width: float) -> float:
    """Written out with loops over bins and levels, as Migacz 2017 has it."""
    bins: dict[int, int] = {}
    for value in values:
        bins[math.floor(value / width)] = bins.get(math.floor(value / width), 0) + 1
    centre = {index: (index + 0.5) * width for index in sorted(bins)}
    half = levels.scale / 2
    inside = [i for i in centre if levels.low - half <= centre[i] <= levels.high + half]
    p = {i: float(bins[i]) for i in inside}
    p[inside[0]] += sum(bins[i] for i in centre if i < inside[0])
    p[inside[-1]] += sum(bins[i] for i in centre if i > inside[-1])
    level = {i: min(255, max(0, round(centre[i] / levels.scale) + levels.zero)) for i in inside}
    q = {}
    for tick in set(level.values()):
        members = [i for i in inside if level[i] == tick]
        for i in members:
            q[i] = sum(bins[j] for j in members) / len(members)
    total_p, total_q = sum(p.values()), sum(q.values())
    return sum(p[i] / total_p * math.log(p[i] / total_p / (q[i] / total_q)) for i in inside)


@pytest.mark.parametrize("levels", [affine(-1.0, 1.0), affine(0.0, 2.5), affine(-4.0, 4.0)])
def test_divergence_is_what_the_loops_give(levels: Affine) -> None:
    values, histogram = normal(1500), Histogram()
    histogram.add(values)
    found = divergence(histogram.centres, histogram.counts, levels)
    assert found == pytest.approx(reference_divergence(values.double().numpy(), levels, histogram.width), rel=1e-9)


def test_entropy_gives_up_outliers_and_keeps_what_is_dense() -> None:
    values = torch.cat([normal(20000), torch.tensor([50.0, -70.0])])
    levels = observed("entropy", values)
    assert -8 < levels.low < -1.5
    assert 1.5 < levels.high < 8


def test_memory_does_not_grow_with_what_is_seen() -> None:
    observer = Least(squared_error)
    sizes = []
    for seed in range(3):
        observer.add(normal(10000, seed) * 10**seed)
        sizes.append(observer._seen._counts.numel())
    assert len(set(sizes)) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_named(bad: float) -> None:
    values = torch.tensor([1.0, bad, 2.0])
    with pytest.raises(TaskError, match=r"^the task: calibration batch 3: value relu_1 holds NaN or infinity: [^\n]+$"):
        checked(values, "relu_1", "the task: calibration batch 3")
    assert checked(torch.ones(2), "x", "") is not None
    assert MinMax().levels() == affine(0.0, 0.0)
