"""Clusters in the metric of a Gram matrix, against brute force and the pseudo-inverse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hwaware.compression.codebook.lloyd import _filled, _means, lloyd
from hwaware.errors import ModelError


def problem(seed: int, n: int, d: int, rank: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(50, rank, generator=random) @ torch.randn(rank, d, generator=random)
    x = x.double()
    return torch.randn(n, d, generator=random), x.T @ x


def objective(v: Tensor, metric: Tensor, words: Tensor, chosen: Tensor) -> float:
    away = v.double() - words[chosen]
    return float(torch.einsum("nd,de,ne->", away, metric, away))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 6), st.sampled_from([1, 2, 8, 16]))
def test_the_objective_never_rises_and_is_that_of_the_result(seed: int, d: int, rank: int, k: int) -> None:
    v, metric = problem(seed, 60, d, min(d, rank))
    found = lloyd(v, metric, k, seed=seed)
    steps = np.array(found.objectives)
    assert (np.diff(steps) <= 1e-9 * steps[0]).all()
    true = objective(v, metric, found.codebook, found.assignments)
    assert true == pytest.approx(found.objectives[-1], rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10_000))
def test_at_the_end_every_vector_has_its_nearest_codeword(seed: int) -> None:
    v, metric = problem(seed, 60, 4, 4)
    found = lloyd(v, metric, 8, seed=seed)
    away = v.double()[:, None] - found.codebook[None]
    distances = torch.einsum("nkd,de,nke->nk", away, metric, away)
    mine = distances.gather(1, found.assignments[:, None])[:, 0]
    torch.testing.assert_close(mine, distances.min(1).values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [5, 2])
def test_the_mean_is_the_pseudo_inverse_solution_at_full_rank_and_as_good_below(rank: int) -> None:
    v, metric = problem(3, 12, 5, rank)
    random = torch.Generator().manual_seed(4)
    x = torch.linalg.cholesky(metric + 1e-12 * torch.eye(5)).T if rank == 5 else _root(metric)
    # The paper's M-step: c = x⁺ · mean of (x v), the least squares over all members at once.
    targets = x @ v.double().T
    solved = torch.linalg.pinv(x) @ targets.mean(1)
    mean = _means(v.double(), torch.zeros(12, dtype=torch.int64), torch.zeros(1, 5).double())[0]
    ours, theirs = (objective(v, metric, c[None], torch.zeros(12, dtype=torch.int64)) for c in (mean, solved))
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert torch.allclose(mean, solved, atol=1e-5) == (rank == 5)
    for _ in range(20):
        other = mean + 0.1 * torch.randn(5, generator=random, dtype=torch.float64)
        assert objective(v, metric, other[None], torch.zeros(12, dtype=torch.int64)) >= ours * (1 - 1e-12)


def _root(metric: Tensor) -> Tensor:
    values, basis = torch.linalg.eigh(metric)
    values = torch.where(values > 1e-9 * values.max(), values, 0.0)
    return values.sqrt()[:, None] * basis.T


def test_the_best_of_some_starts_is_the_best_of_all_partitions() -> None:
    v, metric = problem(1, 7, 2, 2)
    found = min(lloyd(v, metric, 2, seed=seed).objectives[-1] for seed in range(8))
    best = np.inf
    for bits in itertools.product([0, 1], repeat=7):
        chosen = torch.tensor(bits)
        if 0 < sum(bits) < 7:
            words = torch.stack([v.double()[chosen == c].mean(0) for c in (0, 1)])
            best = min(best, objective(v, metric, words, chosen))
    assert found == pytest.approx(best, rel=1e-9)


def test_an_empty_cluster_takes_a_part_of_the_most_populous_however_large_the_numbers() -> None:
    v = 1e6 + torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chosen = torch.zeros(40, dtype=torch.int64)
    chosen[:5] = 1
    filled = _filled(v, torch.eye(3, dtype=torch.float64), chosen, 3, torch.Generator().manual_seed(0))
    assert torch.equal(filled[:5], chosen[:5])
    assert 0 < int((filled == 2).sum()) < 35


def test_more_codewords_than_distinct_vectors_end_and_cost_nothing() -> None:
    v = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).repeat(10, 1)
    found = lloyd(v, torch.eye(2), 8)
    assert found.objectives[-1] == pytest.approx(0, abs=1e-20)
    assert len(found.objectives) < 100


def test_a_metric_of_zeros_ends() -> None:
    v, _ = problem(0, 30, 3, 3)
    assert lloyd(v, torch.zeros(3, 3), 4).objectives[-1] == 0


def test_k_larger_than_the_vectors_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match=r"^k = 8 is larger than the 7 vectors; take a smaller codebook$"):
        lloyd(torch.zeros(7, 2), torch.eye(2), 8)


def test_vectors_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ModelError, match="NaN or infinity"):
        lloyd(torch.full((7, 2), torch.nan), torch.eye(2), 2)


def test_it_is_a_function_of_the_seed() -> None:
    v, metric = problem(2, 80, 4, 4)
    one, two, other = (lloyd(v, metric, 8, seed=seed, steps=2) for seed in (0, 0, 1))
    assert torch.equal(one.codebook, two.codebook)
    assert not torch.equal(one.codebook, other.codebook)
