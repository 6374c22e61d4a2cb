"""Operators of quantised models, which the compiled kernels agree with bit for bit.

Activations are uint8 with one scale and zero point a tensor (affine), weights int8 with a scale an output channel
(symmetric), sums int32: the scheme of Jacob et al. 2018 (arXiv:1712.05877, section 2). A sum becomes a float32 number
by one multiplication, everything elementwise is float32, and `quantize` ends a chain of it: a float32 multiplier is 24
bits and a shift, and its rounding is the same on every processor. That chain never leaves the registers of a kernel.

Exactness: integer sums are computed in floating point only where no sum can leave the range in which that is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hwaware.graph.own import operator, same_as

LEVELS = 255  # of an activation, from 0 on
MOST = 1024.0  # levels: more is far outside, and still a small integer

# Integers up to here are exact in float32.
_EXACT = 1 << 24


@operator("quantize(Tensor input, Tensor scale, Tensor zero) -> Tensor", same_as(torch.uint8))
def quantize(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """uint8 levels of `x`: the nearest to x · (1 / scale), ties to even, plus `zero`, within 0 and 255.

    `scale` float32 and `zero` int32 have no dimensions.
    """
    level = (x * (1.0 / scale)).clamp(max=MOST).round()
    return (level.clamp(min=-MOST) + zero).clamp(0, LEVELS).to(torch.uint8)


@operator("dequantize(Tensor input, Tensor scale, Tensor zero) -> Tensor", same_as(torch.float32))
def dequantize(q: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """float32 values of levels: (q - zero) · scale."""
    return (q.to(torch.float32) - zero) * scale


def _conv_meta(q: Tensor, weight: Tensor, zero: Tensor, bias: Tensor, scale: Tensor, *window: Any) -> Tensor:
    return functional.conv2d(q.float(), weight.float(), None, *window)


@operator(
    "conv2d(Tensor input, Tensor weight, Tensor zero, Tensor bias, Tensor scale, SymInt[2] stride=1, "
    "SymInt[2] padding=0, SymInt[2] dilation=1, SymInt groups=1) -> Tensor",
    _conv_meta,
)
def conv2d(
    q: Tensor,
    weight: Tensor,
    zero: Tensor,
    bias: Tensor,
    scale: Tensor,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """float32 convolution of uint8 levels with int8 weights (K, C / groups, R, S); padding is the value 0.

    The int32 sum of (q - zero) · weight plus `bias` (int32, K), times `scale` (float32, K).
    """
    dtype = _sum_type(weight)
    x, w = q.to(dtype) - zero, weight.to(dtype)
    total = functional.conv2d(x, w, None, tuple(stride), tuple(padding), tuple(dilation), groups)
    return _scaled(total, bias, scale, 1)


def _linear_meta(q: Tensor, weight: Tensor, *_: object) -> Tensor:
    return functional.linear(q.float(), weight.float())


@operator("linear(Tensor input, Tensor weight, Tensor zero, Tensor bias, Tensor scale) -> Tensor", _linear_meta)
def linear(q: Tensor, weight: Tensor, zero: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
    """float32 dense layer of uint8 levels (…, C) with int8 weights (K, C), scaled as in `conv2d`."""
    dtype = _sum_type(weight)
    return _scaled(functional.linear(q.to(dtype) - zero, weight.to(dtype)), bias, scale, q.dim() - 1)


def _sum_type(weight: Tensor) -> torch.dtype:
    """The type in which every sum of products with `weight` is exact."""
    most = int(weight.to(torch.int64).abs().flatten(1).sum(1).max()) * LEVELS if weight.numel() else 0
    return torch.float32 if most < _EXACT else torch.float64


def _scaled(total: Tensor, bias: Tensor, scale: Tensor, dim: int) -> Tensor:
    shape = [-1 if d == dim else 1 for d in range(total.dim())]
    return (total.to(torch.int32) + bias.reshape(shape)).to(torch.float32) * scale.reshape(shape)
