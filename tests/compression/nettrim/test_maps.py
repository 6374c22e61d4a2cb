"""Layers as linear maps, and the systems solved with them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.compression.nettrim.inverse import Factored, Iterative
from hwaware.compression.nettrim.maps import ConvMap, DenseMap


def _conv(stride: int, padding: int, dilation: int, bias: bool) -> ConvMap:
    random = torch.Generator().manual_seed(3)
    batches = [torch.randn(n, 3, 9, 8, generator=random, dtype=torch.float64) for n in (2, 1)]
    return ConvMap(batches, (3, 2), (stride, 2), (padding, 1), (dilation, 1), bias)


conv_maps = st.builds(_conv, st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.booleans())


@settings(deadline=None, max_examples=15)
@given(conv_maps)
def test_convolution_in_operator_form_is_im2col(layer: ConvMap) -> None:
    unrolled = layer.unrolled()
    weights = torch.randn(layer.rows, 4, dtype=torch.float64)
    outputs = torch.randn(layer.positions, 4, dtype=torch.float64)
    assert unrolled.inputs.shape == (layer.positions, layer.rows)
    torch.testing.assert_close(layer.forward(weights), unrolled.forward(weights))
    torch.testing.assert_close(layer.adjoint(outputs), unrolled.adjoint(outputs))
    torch.testing.assert_close(layer.gram(), unrolled.inputs.T @ unrolled.inputs)


@settings(deadline=None, max_examples=15)
@given(conv_maps)
def test_adjoint_moves_to_the_other_side_of_the_product(layer: ConvMap) -> None:
    weights = torch.randn(layer.rows, 4, dtype=torch.float64)
    outputs = torch.randn(layer.positions, 4, dtype=torch.float64)
    left = (layer.forward(weights) * outputs).sum()
    torch.testing.assert_close(left, (weights * layer.adjoint(outputs)).sum())


def test_conjugate_gradients_agree_with_the_factored_system() -> None:
    layer = _conv(1, 1, 1, True)
    right = torch.randn(layer.rows, 4, dtype=torch.float64)
    exact = Factored(layer, 2.0, torch.float64).solve(right, right)
    found = Iterative(layer, 2.0).solve(right, torch.zeros_like(right))
    torch.testing.assert_close(found, exact, rtol=1e-7, atol=1e-9)


def test_gram_of_a_dense_layer_accumulates_over_pieces() -> None:
    inputs = torch.randn(5000, 6, dtype=torch.float64)
    torch.testing.assert_close(DenseMap(inputs).gram(), inputs.T @ inputs)
