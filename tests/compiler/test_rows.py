"""Softmax, layer norm, products and attention, with masks and magnitudes that overflow a naive exponential."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hwaware.compiler.targets import Target
from tests.compiler.inprocess import check, outputs
from tests.compiler.parallel import check_all, every_target
from tests.compiler.test_windows import Call

ROWS = (1, 3, 8, 17, 37)


@every_target
def test_rows_of_any_width(target: Target) -> None:
    layers: list[nn.Module] = []
    values = []
    for width in ROWS:
        norm = nn.LayerNorm(width)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        made = [nn.Softmax(-1), nn.LogSoftmax(-1), norm, nn.LayerNorm(width, elementwise_affine=False)]
        layers += made
        values += [torch.randn(2, 3, width) * 4 for _ in made]
    layers += [nn.Softmax(1), nn.LogSoftmax(1), nn.LayerNorm((3, 5))]
    values += [torch.randn(2, 7, 3, 5) for _ in range(3)]
    check_all(layers, values, target)


@every_target
def test_softmax_of_extreme_rows(target: Target) -> None:
    rows = torch.tensor([[100.0, -100.0, 99.0], [-100.0, -100.0, -100.0], [3e4, -3e4, 0.0], [0.0, -torch.inf, 1.0]])
    for layer in (nn.Softmax(-1), nn.LogSoftmax(-1)):
        finite = rows[:3] if isinstance(layer, nn.LogSoftmax) else rows
        (found,) = outputs(layer, finite, target=target)
        np.testing.assert_allclose(found, layer(finite), rtol=1e-4, atol=1e-6)


def test_layer_norm_does_not_cancel() -> None:
    (found,) = outputs(nn.LayerNorm(64), torch.randn(5, 64) + 3000)
    assert abs(found.std() - 1) < 0.05


@pytest.mark.parametrize(
    "shapes", [((3, 17), (17, 5)), ((2, 3, 7, 9), (2, 3, 9, 23)), ((4, 5, 3), (3, 8)), ((5, 3), (2, 3, 40))]
)
@pytest.mark.parametrize("swapped", [False, True])
def test_products(shapes: tuple[tuple[int, ...], ...], swapped: bool) -> None:
    class Product(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ (b.transpose(-1, -2) if swapped else b)

    a, b = (torch.randn(shape) for shape in shapes)
    check(Product(), a, b.transpose(-1, -2).contiguous() if swapped else b)


MASKS = {
    "none": None,
    "future": torch.triu(torch.full((6, 6), -torch.inf), diagonal=1),
    "allowed": torch.ones(6, 6, dtype=torch.bool).tril(),
    "one_key": torch.arange(6).repeat(6, 1) == 2,
    "heads": torch.randn(2, 3, 6, 6),
}


@pytest.mark.parametrize("name", MASKS)
def test_attention_masks(name: str) -> None:
    layer = Call(lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1, MASKS[name]))
    check(layer, torch.randn(2, 3, 6, 8))


def test_causal_attention() -> None:
    check(Call(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.3)), torch.randn(2, 3, 6, 8))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_embedding(dtype: torch.dtype) -> None:
    check(nn.Sequential(nn.Embedding(11, 17), nn.Linear(17, 3)), torch.randint(0, 11, (2, 5)).to(dtype))
