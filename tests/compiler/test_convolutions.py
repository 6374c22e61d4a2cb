"""Convolutions and dense layers of any extent: borders, tails and strides are where kernels go wrong."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from hwaware.compiler.targets import Target, base_target
from tests.compiler.inprocess import AVX2, check
from tests.compiler.parallel import TARGETS, check_all, every_target

WIDTHS = st.sampled_from([1, 2, 3, 5, 7, 8, 12, 16, 17, 23, 33, 40])
SMALL = st.integers(1, 3)
laws = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
targets = st.sampled_from([base_target(name) for name in TARGETS])
Layer = tuple[nn.Module, torch.Tensor]


def _image(draw: st.DrawFn, channels: int, low: tuple[int, int]) -> torch.Tensor:
    """Random pixels, at least `low` high and wide."""
    height, width = (draw(st.integers(minimum, minimum + 17)) for minimum in low)
    return torch.randn(draw(st.integers(1, 2)), channels, height, width)


@st.composite
def convolutions(draw: st.DrawFn) -> Layer:
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    inside, outside = groups * draw(WIDTHS), groups * draw(WIDTHS)
    kernel, stride, dilation = ((draw(SMALL), draw(SMALL)) for _ in range(3))
    kernel = draw(st.sampled_from([kernel, (1, 1), (3, 3), (5, 1)]))
    padding = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    reach = [max(1, (k - 1) * d + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    layer = nn.Conv2d(inside, outside, kernel, stride, padding, dilation, groups, bias=draw(st.booleans()))
    return layer, _image(draw, inside, (reach[0], reach[1]))


@st.composite
def depthwise(draw: st.DrawFn) -> Layer:
    channels, multiplier = draw(WIDTHS), draw(st.sampled_from([1, 1, 1, 2, 3]))
    kernel, stride, dilation = draw(st.sampled_from([1, 3, 5])), draw(SMALL), draw(st.integers(1, 2))
    padding = draw(st.integers(0, 3))
    reach = max(1, (kernel - 1) * dilation + 1 - 2 * padding)
    layer = nn.Conv2d(
        channels, channels * multiplier, kernel, stride, padding, dilation, channels, bias=draw(st.booleans())
    )
    return layer, _image(draw, channels, (reach, reach))


@st.composite
def transposed(draw: st.DrawFn) -> Layer:
    groups = draw(st.sampled_from([1, 1, 2]))
    inside, outside = groups * draw(WIDTHS), groups * draw(WIDTHS)
    kernel, stride, dilation = ((draw(st.integers(1, 4)), draw(st.integers(1, 4))) for _ in range(3))
    padding = tuple(draw(st.integers(0, (k - 1) * d // 2)) for k, d in zip(kernel, dilation, strict=True))
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    layer = nn.ConvTranspose2d(inside, outside, kernel, stride, padding, extra, groups, draw(st.booleans()), dilation)
    return layer, _image(draw, inside, (1, 1))


@st.composite
def dense(draw: st.DrawFn) -> Layer:
    inside, outside = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    lead = draw(st.sampled_from([(1,), (2,), (13,), (2, 5), (2, 3, 4)]))
    return nn.Linear(inside, outside, bias=draw(st.booleans())), torch.randn(*lead, inside)


@st.composite
def sequences(draw: st.DrawFn) -> Layer:
    groups = draw(st.sampled_from([1, 1, 3]))
    inside, outside, kernel = groups * draw(WIDTHS), groups * draw(WIDTHS), draw(st.integers(1, 5))
    stride, padding, dilation = draw(SMALL), draw(st.integers(0, 2)), draw(st.integers(1, 2))
    length = max(1, (kernel - 1) * dilation + 1 - 2 * padding) + draw(st.integers(0, 20))
    value = torch.randn(draw(st.integers(1, 2)), inside, length)
    if draw(st.booleans()):
        padding = min(padding, (kernel - 1) * dilation // 2)
        return nn.ConvTranspose1d(inside, outside, kernel, stride, padding, groups=groups, dilation=dilation), value
    return nn.Conv1d(inside, outside, kernel, stride, padding, dilation, groups), value


LAYERS = st.one_of(convolutions(), convolutions(), depthwise(), transposed(), dense(), sequences())


@laws
@given(pairs=st.lists(LAYERS, min_size=8, max_size=12), target=targets)
def test_any_layer_agrees_with_pytorch(pairs: list[Layer], target: Target) -> None:
    check_all([layer for layer, _ in pairs], [value for _, value in pairs], target)


def test_every_odd_width_agrees_with_pytorch() -> None:
    widths = (1, 3, 7, 17, 23, 33)
    layers: list[nn.Module] = []
    for index, width in enumerate(widths):
        other = widths[-1 - index]
        layers += [
            nn.Conv2d(width, other, 3, padding=1),
            nn.Conv2d(width, width, 3, padding=1, stride=2, groups=width),
            nn.ConvTranspose2d(width, other, 3, stride=2, padding=1),
        ]
    values = [torch.randn(2, layer.in_channels, 9, 11) for layer in layers]  # type: ignore[union-attr]
    check_all(layers, values, AVX2)


@every_target
def test_a_window_wholly_in_the_padding_reads_nothing(target: Target) -> None:
    layers = [
        nn.Conv2d(3, 5, 3, padding=4),
        nn.Conv2d(3, 3, 3, padding=4, groups=3),
        nn.Conv2d(3, 5, 1, padding=2),
        nn.Conv2d(3, 5, 3, padding=5, stride=3, dilation=2),
        nn.Conv2d(4, 4, 1, groups=4),
        nn.Conv2d(6, 9, 1, groups=3, stride=2),
    ]
    check_all(layers, [torch.randn(2, layer.in_channels, 2, 3) for layer in layers], target)


@every_target
def test_weights_larger_than_the_cache_take_the_other_loop_order(target: Target) -> None:
    layers = [nn.Conv2d(130, 131, 3, padding=1), nn.Conv2d(260, 6 * 130, 1, groups=2), nn.Linear(517, 311)]
    assert all(layer.weight.numel() * 4 > target.l2 // 2 for layer in layers)
    check_all(layers, [torch.randn(2, 130, 5, 4), torch.randn(2, 260, 3, 5), torch.randn(3, 517)], target)


@every_target
def test_rows_of_many_tiles_end_at_the_border(target: Target) -> None:
    # Whole tiles of nearly any width end with the row.
    layers = [
        nn.Conv2d(3, 17, 3, padding=1),
        nn.Conv2d(3, 7, 5, padding=2, stride=2),
        nn.Conv2d(3, 7, 3, padding=2, dilation=2),
        nn.Conv2d(17, 17, 3, padding=1, groups=17),
        nn.ConvTranspose2d(3, 7, 3, stride=2, padding=1),
    ]
    check_all(layers, [torch.randn(1, layer.in_channels, 3, 840) for layer in layers], target)


@pytest.mark.parametrize("kernel", [3, 4, (5, 2)])
def test_padding_same_is_a_convolution_like_any_other(kernel: int | tuple[int, int]) -> None:
    check(nn.Conv2d(3, 5, kernel, padding="same", dilation=2), torch.randn(2, 3, 9, 11))


def test_padding_same_in_one_dimension() -> None:
    check(nn.Conv1d(3, 5, 4, padding="same"), torch.randn(2, 3, 12))
