"""Refinement descends on the error of a layer's whole output, as far as its two steps can go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hwaware.compression.codebook.gram import full_gram
from hwaware.compression.codebook.layers import found
from hwaware.compression.codebook.lloyd import Clusters, lloyd
from hwaware.compression.codebook.refine import _Problem, refined
from tests.compression.codebook.nets import net


def problem(seed: int, groups: int = 2, k: int = 6) -> tuple[Tensor, Tensor, Clusters]:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(groups, 10, 12, generator=random).double()
    x = torch.randn(groups, 40, 12, generator=random).double() + 1
    return weight, x.transpose(1, 2) @ x, lloyd(weight.reshape(-1, 3), torch.eye(3), k, seed=seed)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([1, 2, 6, 20]))
def test_the_objective_never_rises_and_is_that_of_the_result(seed: int, k: int) -> None:
    weight, full, start = problem(seed, k=k)
    found = refined(weight, full, start, 4)
    assert (np.diff(found.objectives) <= 1e-9 * found.objectives[0]).all()
    for clusters, objective in ((start, found.objectives[0]), (found, found.objectives[-1])):
        error = weight - clusters.codebook[clusters.assignments].reshape(weight.shape)
        assert float(torch.einsum("gon,gnm,gom->", error, full, error)) == pytest.approx(objective, rel=1e-9)


def test_a_pass_leaves_each_block_of_the_last_place_its_best_codeword() -> None:
    weight, full, start = problem(0)
    mine = _Problem(weight, full, start)
    mine.reassign()
    least = mine.objective()
    for group, output in ((0, 0), (1, 7), (0, 9)):
        held = int(mine.codes[group, output, -1])
        for code in range(6):
            mine.codes[group, output, -1] = code
            assert mine.objective() >= least * (1 - 1e-9)
        mine.codes[group, output, -1] = held


def test_codewords_come_to_their_least_squares() -> None:
    weight, full, start = problem(3)
    mine = _Problem(weight, full, start)
    for _ in range(30):
        mine.descend()
    roots = torch.linalg.cholesky(full).transpose(1, 2)  # G = RᵀR
    design = torch.zeros(2, 10, 12, 6 * 3).double()
    for (g, o, p), code in np.ndenumerate(mine.codes.numpy()):
        for j in range(3):
            design[g, o, p * 3 + j, code * 3 + j] = 1
    system = torch.einsum("gmn,gonq->gomq", roots, design).reshape(-1, 18)
    wanted = torch.einsum("gmn,gon->gom", roots, weight).reshape(-1)
    solved = torch.linalg.lstsq(system, wanted.unsqueeze(1)).solution.reshape(6, 3)
    torch.testing.assert_close(mine.words, solved, rtol=1e-5, atol=1e-6)


def test_the_full_matrix_gives_the_squared_error_of_the_outputs_by_group() -> None:
    graph = net()
    layer = next(layer for layer in found(graph).layers if layer.groups == 2)
    x = torch.randn(3, 32, 8, 8, generator=torch.Generator().manual_seed(1))
    weight = graph.tensors[layer.weight]
    output = torch.nn.functional.conv2d(x, weight, None, 2, 1, 1, 2)
    rows = weight.reshape(2, -1, layer.row).double()
    full = full_gram(layer, [x[:1], x[1:]]) * 3 * 16
    assert float(torch.einsum("gon,gnm,gom->", rows, full, rows)) == pytest.approx(
        float(output.square().sum()), rel=1e-5
    )
