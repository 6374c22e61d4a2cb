"""Pooling, resampling and reductions: borders, uneven windows, negative inputs."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from hwaware.compiler.targets import Target
from tests.compiler.inprocess import AVX2
from tests.compiler.parallel import check_all, every_target

Layer = tuple[nn.Module, torch.Tensor]


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: object, **options: object) -> None:
        super().__init__()
        self.function, self.options = function, options

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return self.function(value, **self.options)  # type: ignore[operator]

    def extra_repr(self) -> str:
        return f"{self.function} {self.options}"


@st.composite
def pools(draw: st.DrawFn) -> Layer:
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    stride = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    padding = (draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2)))
    ceil, channels = draw(st.booleans()), draw(st.sampled_from([1, 3, 8, 17, 23]))
    # All below zero: padding with zeros instead of leaving it out would show in a maximum.
    value = torch.randn(draw(st.integers(1, 2)), channels, draw(st.integers(7, 13)), draw(st.integers(7, 13))) - 9
    if draw(st.booleans()):
        dilation = draw(st.integers(1, 2))
        return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil), value
    return nn.AvgPool2d(kernel, stride, padding, ceil, count_include_pad=draw(st.booleans())), value


@settings(max_examples=3, deadline=None)
@given(pairs=st.lists(pools(), min_size=10, max_size=14))
def test_any_pool_agrees_with_pytorch(pairs: list[Layer]) -> None:
    check_all([layer for layer, _ in pairs], [value for _, value in pairs], AVX2)


@every_target
def test_pools_at_their_edges(target: Target) -> None:
    layers = [
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.AdaptiveAvgPool2d((3, 5)),
        nn.AdaptiveAvgPool2d((4, None)),
        nn.AdaptiveAvgPool2d(20),
        nn.AdaptiveAvgPool2d(1),
    ]
    check_all(layers, [torch.randn(2, 23, 10, 13) - 7 for _ in layers], target)


def test_pools_of_sequences() -> None:
    layers = [nn.MaxPool1d(3, 2, 1), nn.AvgPool1d(3, 2, 1), nn.AdaptiveAvgPool1d(4), nn.AdaptiveAvgPool1d(1)]
    check_all(layers, [torch.randn(2, 7, 13) - 3 for _ in layers], AVX2)


@every_target
def test_resampling(target: Target) -> None:
    options: list[dict[str, object]] = [
        {"scale_factor": 2, "mode": "bilinear"},
        {"scale_factor": (1.7, 2.3), "mode": "bilinear"},
        {"scale_factor": 1.7, "mode": "bilinear", "recompute_scale_factor": True},
        {"size": (7, 19), "mode": "bilinear"},
        {"size": (17, 1), "mode": "bilinear", "align_corners": True},
        {"scale_factor": 3, "mode": "nearest"},
        {"scale_factor": 0.4, "mode": "nearest"},
        {"size": (17, 4), "mode": "nearest"},
    ]
    layers = [Call(F.interpolate, **option) for option in options]
    check_all(layers, [torch.randn(2, 23, 6, 9) for _ in layers], target)


def test_reductions() -> None:
    layers = [
        Call(torch.mean, dim=dims, keepdim=keep)
        for dims in ((2, 3), (1,), (1, 3), (0, 2), (-1,), (0, 1, 2, 3))
        for keep in (False, True)
    ]
    layers += [Call(torch.sum, dim=(1, 2)), Call(torch.amax, dim=(2, 3)), Call(torch.amax, dim=(1,)), Call(torch.sum)]
    check_all(layers, [torch.randn(2, 23, 5, 6) - 4 for _ in layers], AVX2)
