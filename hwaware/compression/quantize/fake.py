"""Operators that round as the integer ones do, in floating point, and let gradients straight through.

Their values are those of `hwaware.graph.integer`; the gradient of a rounding is taken for 1, that of an activation
beyond its range for 0 (Jacob et al. 2018, arXiv:1712.05877, section 3). They exist for training: a graph with them
is not saved.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hwaware.compression.quantize.scales import bias_levels
from hwaware.compression.quantize.weights import format_of
from hwaware.graph.integer import LEVELS, dequantize, quantize
from hwaware.graph.own import NAMESPACE

_LIBRARY = torch.library.Library(NAMESPACE, "FRAGMENT")


class _Through(torch.autograd.Function):
    """The second argument, with the gradient of the first where `inside` (a mask, or None for everywhere)."""

    @staticmethod
    def forward(ctx: Any, real: Tensor, rounded: Tensor, inside: Tensor | None) -> Tensor:
        ctx.save_for_backward(inside)
        return rounded.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (inside,) = ctx.saved_tensors
        (gradient,) = gradients
        return (gradient if inside is None else gradient * inside), None, None


def _levels(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    with torch.no_grad():
        rounded = dequantize(quantize(x, scale, zero), scale, zero)
        # Half a level beyond both ends still rounds to them.
        inside = (x >= (-0.5 - zero) * scale) & (x <= (LEVELS + 0.5 - zero) * scale)
    result: Tensor = _Through.apply(x, rounded, inside)
    return result


def _weight(weight: Tensor, scale: Tensor, precision: str, group: int) -> Tensor:
    with torch.no_grad():
        rounded = format_of(precision, group).decoded(weight, scale)
    result: Tensor = _Through.apply(weight, rounded, None)
    return result


def _half(weight: Tensor) -> Tensor:
    with torch.no_grad():
        rounded = weight.to(torch.float16).to(torch.float32)
    result: Tensor = _Through.apply(weight, rounded, None)
    return result


def _bias(bias: Tensor, scale: Tensor) -> Tensor:
    with torch.no_grad():
        rounded = (bias_levels(bias, scale) * scale).to(torch.float32)
    result: Tensor = _Through.apply(bias, rounded, None)
    return result


for _schema, _function in (
    ("fake_levels(Tensor input, Tensor scale, Tensor zero) -> Tensor", _levels),
    ("fake_weight(Tensor weight, Tensor scale, str precision, SymInt group) -> Tensor", _weight),
    ("fake_half(Tensor weight) -> Tensor", _half),
    ("fake_bias(Tensor bias, Tensor scale) -> Tensor", _bias),
):
    _LIBRARY.define(_schema)
    _LIBRARY.impl(_schema.partition("(")[0], _function, "CompositeImplicitAutograd")
