"""The programme of one layer against what it promises and against an interior point solver."""

from __future__ import annotations

import cvxpy
import numpy as np
import pytest
import torch
from torch import Tensor

from hwaware.compression.nettrim.layer import Solving, trim_layer
from hwaware.compression.nettrim.maps import DenseMap
from hwaware.errors import TaskError

EXACT = Solving(most=4000, tolerance=1e-7, polish=1000)


def _layer(scale: float = 1.0) -> tuple[DenseMap, Tensor]:
    random = torch.Generator().manual_seed(0)
    inputs = torch.relu(torch.randn(60, 14, generator=random, dtype=torch.float64))
    inputs = scale * torch.cat([inputs, torch.ones(60, 1, dtype=torch.float64)], 1)
    return DenseMap(inputs, bias=True), torch.randn(15, 6, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("relu", [True, False])
def test_constraints_hold_whatever_the_scale_of_the_data(scale: float, relu: bool) -> None:
    layer, weights = _layer(scale)
    made = trim_layer("fc", layer, weights, gain=0.15, relu=relu)
    report = made.report
    before = layer.inputs @ weights
    after = layer.inputs @ made.weights.double()
    on = before > 0 if relu else torch.ones_like(before, dtype=torch.bool)
    assert report.satisfied
    assert float((after - before)[on].norm()) <= 0.15 * float(before[on].norm()) * (1 + 1e-6)
    if relu:
        assert float(after[~on].max()) <= 1.01e-3 * float(before[on].square().mean().sqrt())
    assert report.left == int((made.weights[:-1] != 0).sum()) < report.weights == 14 * 6


def test_scale_of_the_data_does_not_change_the_iteration() -> None:
    reports = [trim_layer("fc", *_layer(scale), gain=0.15).report for scale in (2.0**-10, 1.0, 2.0**10)]
    assert len({(report.left, report.iterations) for report in reports}) == 1


@pytest.mark.parametrize("mode", ["parallel", "cascade", "linear"])
def test_objective_is_that_of_an_interior_point_solver(mode: str) -> None:
    layer, weights = _layer()
    gain, wanted = 0.2, None
    if mode == "cascade":
        gain = 1.5
        other = layer.inputs + 0.2 * torch.randn(layer.inputs.shape, generator=torch.Generator().manual_seed(1))
        wanted = other @ weights
    found = trim_layer("fc", layer, weights, gain=gain, relu=mode != "linear", wanted=wanted, solving=EXACT)
    x, own = layer.inputs.numpy(), (layer.inputs @ weights).numpy()
    aim = own if wanted is None else wanted.numpy()
    on = np.ones_like(aim) if mode == "linear" else (aim > 0).astype(float)
    epsilon = gain * np.linalg.norm(on * aim) if wanted is None else np.sqrt(gain) * np.linalg.norm(on * (own - aim))
    u = cvxpy.Variable(weights.shape)
    bound = np.zeros_like(own) if wanted is None else own
    rules = [
        cvxpy.norm(cvxpy.multiply(on, x @ u - aim), "fro") <= epsilon,
        cvxpy.multiply(1 - on, x @ u - bound) <= 0,
    ]
    best = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum(cvxpy.abs(u))), rules).solve(solver="CLARABEL")
    assert found.report.satisfied
    assert found.report.epsilon == pytest.approx(epsilon)
    assert float(found.weights.abs().sum()) == pytest.approx(best, rel=1e-3)


def test_planted_sparse_weights_are_recovered() -> None:
    random = torch.Generator().manual_seed(5)
    inputs = torch.randn(120, 40, generator=random, dtype=torch.float64)
    weights = torch.zeros(40, 5, dtype=torch.float64)
    for unit in range(5):
        weights[torch.randperm(40, generator=random)[:4], unit] = torch.randn(4, generator=random).double() + 3
    # What Net-Trim is given makes the same outputs on these samples with all of its weights.
    few = DenseMap(inputs[:36])
    spread = torch.linalg.svd(few.inputs).Vh[36:].T
    dense = weights + spread @ torch.randn(4, 5, generator=random, dtype=torch.float64)
    found = trim_layer("fc", few, dense, gain=1e-3, relu=False, solving=EXACT)
    assert torch.count_nonzero(dense) == 200
    torch.testing.assert_close(found.weights, weights, rtol=0.02, atol=0.02)
    assert found.report.left <= 40


def test_blocks_of_units_share_epsilon_and_hold_the_constraints_together() -> None:
    layer, weights = _layer()
    small = Solving(memory=6 * 8 * 60 * 2)
    whole, blocks = (trim_layer("fc", layer, weights, gain=0.15, solving=how) for how in (EXACT, small))
    assert blocks.report.satisfied
    assert blocks.report.epsilon == pytest.approx(whole.report.epsilon)
    assert float(blocks.weights.abs().sum()) >= float(whole.weights.abs().sum()) * (1 - 1e-3)


def test_iteration_cut_short_still_gives_weights_that_hold_the_constraints() -> None:
    layer, weights = _layer()
    assert trim_layer("fc", layer, weights, gain=0.1, solving=Solving(most=10, polish=10)).report.satisfied


def test_units_that_stay_as_they_are_are_told() -> None:
    """With nothing to spare and no time only the dense weights hold the constraints."""
    layer, weights = _layer()
    made = trim_layer("fc", layer, weights, gain=0.0, solving=Solving(most=1, polish=1, slack=0.0))
    assert made.report.untrimmed == weights.shape[1]
    assert torch.equal(made.weights, weights)
    assert trim_layer("fc", layer, weights, gain=0.15).report.untrimmed == 0


@pytest.mark.parametrize("gain", [-0.1, float("nan"), float("inf")])
def test_gain_out_of_range_is_one_line(gain: float) -> None:
    with pytest.raises(TaskError, match=r"^fc: the gain must be a number of at least 0, not \S+$"):
        trim_layer("fc", *_layer(), gain=gain)


def test_inflation_below_one_is_refused() -> None:
    layer, weights = _layer()
    with pytest.raises(TaskError, match=r"at least 1, not 0\.9"):
        trim_layer("fc", layer, weights, gain=0.9, wanted=layer.inputs @ weights + 1)


def test_nan_weights_or_data_are_one_line() -> None:
    layer, weights = _layer()
    with pytest.raises(TaskError, match=r"^fc: calibration makes NaN or infinite activations"):
        trim_layer("fc", DenseMap(layer.inputs * float("nan"), True), weights, gain=0.1)
