"""Activations: fused and alone, on any width, and where exponentials overflow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwaware.compiler.targets import Target
from tests.compiler.inprocess import AVX2, check, outputs
from tests.compiler.parallel import Parallel, check_all, every_target

ACTIVATIONS: dict[str, nn.Module] = {
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "silu": nn.SiLU(),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardtanh": nn.Hardtanh(-0.7, 1.3),
    "leaky_relu": nn.LeakyReLU(0.07),
    "prelu": nn.PReLU(),
    "prelu_channels": nn.PReLU(23),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU("tanh"),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "elu": nn.ELU(0.8),
    "selu": nn.SELU(),
}
with torch.no_grad():
    for _layer in (ACTIVATIONS["prelu"], ACTIVATIONS["prelu_channels"]):
        _layer.weight.uniform_(-0.5, 0.9)  # type: ignore[union-attr,operator]


@every_target
def test_fused_into_a_convolution(target: Target) -> None:
    layers = [nn.Sequential(nn.Conv2d(5, 23, 1), layer) for layer in ACTIVATIONS.values()]
    check_all(layers, [torch.randn(1, 5, 1, 3) * 3 for _ in layers], target)


def test_alone() -> None:
    check_all(list(ACTIVATIONS.values()), [torch.randn(2, 23, 1, 3) * 3 for _ in ACTIVATIONS], AVX2)


@every_target
def test_extreme_inputs(target: Target) -> None:
    layers = [ACTIVATIONS[name] for name in ("silu", "gelu", "gelu_tanh", "sigmoid", "tanh", "elu", "hardswish")]
    magnitudes = torch.logspace(-6, 2, 41)
    values = torch.cat([-magnitudes, torch.zeros(2), magnitudes, torch.tensor([1e30, -1e30])])
    results = outputs(Parallel(layers), *(values[None] for _ in layers), target=target)
    for layer, found in zip(layers, results, strict=True):
        # Element by element: the largest must not hide the others.
        np.testing.assert_allclose(found, layer(values[None]), rtol=1e-4, atol=3e-7, err_msg=str(layer))


@pytest.mark.parametrize("scale", [0.1, 1e-3])
def test_small_inputs_keep_their_relative_accuracy(scale: float) -> None:
    layers = [ACTIVATIONS[name] for name in ("silu", "gelu", "gelu_tanh", "sigmoid", "tanh", "elu", "selu")]
    check_all(layers, [torch.randn(3, 41) * scale for _ in layers], AVX2)


def test_chains_of_activations_fuse_into_one_operation() -> None:
    chain = nn.Sequential(nn.Linear(9, 23), *ACTIVATIONS.values())
    assert [op.kind for op in check(chain, torch.randn(4, 9)).ops] == ["dense"]


def test_trained_slopes_do_not_change_the_workload() -> None:
    keys = []
    for slope in (0.1, 0.25):
        layer = nn.Sequential(nn.Conv2d(3, 5, 1), nn.PReLU(init=slope))
        keys.append([op.workload.key for op in check(layer, torch.randn(1, 3, 4, 4)).ops])
    assert keys[0] == keys[1]
