"""Levels of weights: their bounds, their error, and the order of memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from hwaware.compression.quantize.affine import SMALLEST
from hwaware.compression.quantize.int4 import packed
from hwaware.compression.quantize.pairs import within_pairs
from hwaware.compression.quantize.weights import FULL, GROUP, INT4, PAIRED, Format, format_of, rows_of, weight_of
from hwaware.graph.decode import decode_int4, decode_int8

SHAPES = st.sampled_from([(1, 1), (3, 7), (2, 3, 3, 3), (4, 1, 3, 3), (2, 5, 2), (1, 33, 1, 1), (2, 64)])


@st.composite
def weights(draw: st.DrawFn) -> Tensor:
    """Ordinary ones, tiny ones, channels of zeros and outliers."""
    shape = draw(SHAPES)
    values = torch.from_numpy(draw(arrays(np.float32, shape, elements=st.floats(-2, 2, width=32))))
    scales = [draw(st.sampled_from([0.0, 1e-44, 1e-30, 1.0, 1e30])) for _ in range(shape[0])]
    return values * torch.tensor(scales).reshape(-1, *[1] * (len(shape) - 1))


def error(form: Format, weight: Tensor, scale: Tensor) -> Tensor:
    """The squared error of each channel."""
    return rows_of(form.decoded(weight, scale) - weight).square().sum(1)


@settings(max_examples=40)
@given(weights(), st.sampled_from([FULL, PAIRED, INT4]))
def test_levels_are_integers_within_their_bounds_and_scales_are_normal(weight: Tensor, form: Format) -> None:
    scale = form.scale(weight)
    levels = form.levels(weight, scale)
    assert levels.shape == weight.shape
    assert torch.equal(levels, levels.round())
    assert int(levels.min()) >= form.lowest
    assert int(levels.max()) <= form.highest
    assert bool((scale >= SMALLEST).all())
    assert bool(torch.isfinite(scale).all())
    assert torch.equal(form.decoded(weight, scale)[weight == 0], weight[weight == 0].abs())


@settings(max_examples=40)
@given(weights())
def test_paired_neighbours_in_memory_are_together_at_most_128(weight: Tensor) -> None:
    levels = PAIRED.levels(weight, PAIRED.scale(weight)).to(torch.int8)
    # Height, width, input channel, written out.
    memory = levels.numpy().reshape(*levels.shape[:2], -1).transpose(0, 2, 1).reshape(levels.shape[0], -1)
    sums = np.abs(memory[:, :-1].astype(int)) + np.abs(memory[:, 1:].astype(int))
    assert sums.max(initial=0) <= 128
    # What vpmaddubsw adds for any levels of activations stays within int16.
    assert 255 * sums.max(initial=0) <= np.iinfo(np.int16).max


@given(arrays(np.float32, st.tuples(st.just(2), st.integers(0, 12)), elements=st.floats(-127, 127, width=32)))
def test_pairs_are_pulled_no_further_than_needed(rows: np.ndarray) -> None:
    real = torch.from_numpy(rows)
    levels = within_pairs(real)
    assert bool((levels.abs() <= real.abs().round()).all())
    assert bool((levels * real >= 0).all())
    # A level below its number has a neighbour that does not let it rise.
    for row, sizes in zip(levels.abs().tolist(), real.abs().round().tolist(), strict=True):
        for place, (level, size) in enumerate(zip(row, sizes, strict=True)):
            beside = [*row[max(0, place - 1) : place], *row[place + 1 : place + 2]]
            assert level == size or max(beside) + level == 128


@given(st.integers(0, 127), st.integers(0, 127), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_single_pair_is_the_nearest_by_brute_force(a: int, b: int, da: float, db: float) -> None:
    real = torch.tensor([[a + da, b + db]]).clamp(0, 127)
    x, y = real[0].double().tolist()
    best = min((x - p) ** 2 + (y - q) ** 2 for p in range(128) for q in range(129 - p) if q < 128)
    p, q = within_pairs(real)[0].tolist()
    assert (x - p) ** 2 + (y - q) ** 2 == pytest.approx(best, abs=1e-3)


def least_error(row: np.ndarray) -> float:
    """By dynamic programming over the level of each weight in turn."""
    levels = np.arange(128.0)
    cost = (abs(row[0]) - levels) ** 2
    for size in row[1:]:
        # The cheapest that lets a level in: a level of at most 128 less it.
        cheapest = np.minimum.accumulate(cost)[np.minimum(128 - np.arange(128), 127)]
        cost = (abs(size) - levels) ** 2 + cheapest
    return float(cost.min())


@pytest.mark.parametrize("spread", [30, 60, 200])
def test_rows_come_within_a_few_percent_of_the_best(spread: int) -> None:
    random = torch.Generator().manual_seed(spread)
    rows = (torch.randn(20, 60, generator=random) * spread).clamp(-127, 127)
    ours = float((within_pairs(rows) - rows).square().sum())
    assert ours < 1.05 * sum(least_error(row) for row in rows.double().numpy())


@settings(max_examples=40)
@given(weights(), st.sampled_from([FULL, PAIRED]))
def test_the_search_is_no_worse_than_clipping_nothing(weight: Tensor, form: Format) -> None:
    largest = rows_of(weight).abs().amax(1) / (127 if form is FULL else 64)
    plain = largest.clamp(min=SMALLEST)
    kept = rows_of(weight).abs().amax(1) < 1e15  # beyond, squares leave float32 in this test
    assert bool((error(form, weight, form.scale(weight)) <= error(form, weight, plain) * 1.001 + 1e-12)[kept].all())


def test_the_search_clips_outliers_where_that_pays() -> None:
    weight = torch.randn(4, 512, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)
    weight[:, 0] = 20.0
    whole = weight.unflatten(1, (-1, GROUP)).abs().amax(2) / 7
    plain = INT4.spread(whole, 512)
    kept = ((weight / plain).round() * plain - weight).square().sum(1)
    assert bool((error(INT4, weight, INT4.scale(weight)) < 0.97 * kept).all())


def test_the_search_does_better_than_halving_all_weights() -> None:
    weight = torch.randn(4, 512, generator=torch.Generator().manual_seed(0))
    safe = weight.abs().amax(1) / 64
    assert bool((error(PAIRED, weight, PAIRED.scale(weight)) < 0.8 * error(PAIRED, weight, safe)).all())


def test_equal_weights_fill_the_pairs_exactly() -> None:
    weight = torch.full((1, 4, 3, 3), 0.5)
    scale = PAIRED.scale(weight)
    assert PAIRED.levels(weight, scale).unique().tolist() == [64.0]
    assert torch.equal(PAIRED.decoded(weight, scale), weight)


def test_the_least_scale_is_kept() -> None:
    weight = torch.tensor([[0.0, 0.0], [1.0, -1.0]])
    least = torch.tensor([0.25, 0.5])
    assert FULL.scale(weight, least).tolist() == [0.25, 0.5]


@settings(max_examples=40)
@given(weights())
def test_int8_decodes_to_what_was_found(weight: Tensor) -> None:
    scale = FULL.scale(weight)
    stored = FULL.levels(weight, scale).to(torch.int8)
    assert torch.equal(decode_int8(stored, scale), FULL.decoded(weight, scale))


@settings(max_examples=40)
@given(weights(), st.integers(1, 40))
def test_int4_packs_and_unpacks(weight: Tensor, group: int) -> None:
    form = format_of("weight4", group)
    scale = form.scale(weight)
    stored = packed(form.levels(weight, scale))
    count = weight[0].numel()
    assert stored.shape == (len(weight), -(-count // 2))
    assert scale.shape == (len(weight), -(-count // group))
    assert torch.equal(decode_int4(stored, scale, list(weight.shape), group), form.decoded(weight, scale))


@given(SHAPES)
def test_rows_and_weights_are_each_other_s_inverse(shape: tuple[int, ...]) -> None:
    weight = torch.arange(float(np.prod(shape))).reshape(shape)
    assert torch.equal(weight_of(rows_of(weight), weight.shape), weight)
