"""Convolutions as sums over windows of a padded image, which TVM's rule for matrix products takes for one.

A transposed convolution is a convolution with flipped weights over an image with zeros between its pixels. Neither
that image nor the padded one is ever in memory: they are inlined into what reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from hwaware.compiler.cuda.builder import BlockBuilder, Written
from hwaware.compiler.cuda.names import ELEMENT
from hwaware.compiler.cuda.views import View
from hwaware.compiler.kernel import Pack
from hwaware.compiler.tir import Expr, const, integer
from hwaware.graph.workload import Workload


@dataclass(frozen=True)
class Window:
    """A convolution's extents: output pixel (h, w) reads `kernel` taps, `dilation` apart, from (h, w)·`stride` on."""

    batch: int
    out: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    inside: int  # channels of a group
    outside: int

    @classmethod
    def of(cls, work: Workload, stride: Sequence[int]) -> Window:
        """The window of a convolution's workload."""
        groups = work.attr("groups")
        assert isinstance(groups, int)
        kernel, dilation = work.ints("kernel"), work.ints("dilation")
        batch, height, width, channels = work.output.shape
        return cls(
            batch,
            (height, width),
            (kernel[0], kernel[1]),
            (stride[0], stride[1]),
            (dilation[0], dilation[1]),
            groups,
            work.inputs[0].shape[-1] // groups,
            channels // groups,
        )

    def reach(self, axis: int) -> int:
        """Pixels of the padded image that the outputs along `axis` read."""
        return (self.out[axis] - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1


def conv2d(builder: BlockBuilder) -> Written:
    """``conv2d``, with groups or without."""
    work = builder.workload
    window = Window.of(work, work.ints("stride"))
    padding = work.ints("padding")
    source = builder.inputs[0]
    _, height, width, channels = work.inputs[0].shape
    if any(padding):

        def padded(place: Sequence[Expr]) -> Expr:
            n, h, w, c = place
            y, x = h - padding[0], w - padding[1]
            inside = tirx.all(y >= integer(0), y < integer(height), x >= integer(0), x < integer(width))
            return tirx.if_then_else(inside, source.load(n, y, x, c), const(0.0))

        source = builder.blocks.compute("padded", (window.batch, window.reach(0), window.reach(1), channels), padded)
    return _convolve(builder, window, source, _filters(window))


def conv2d_transpose(builder: BlockBuilder) -> Written:
    """``conv2d_transpose``: pixel y of the spread image is pixel (y - before) / stride of the input, or zero."""
    work = builder.workload
    window = Window.of(work, (1, 1))
    stride, padding = work.ints("stride"), work.ints("padding")
    before = [(window.kernel[axis] - 1) * window.dilation[axis] - padding[axis] for axis in (0, 1)]
    _, height, width, channels = work.inputs[0].shape
    image = builder.inputs[0]

    def spread(place: Sequence[Expr]) -> Expr:
        n, h, w, c = place
        conditions = []
        pixels = []
        for at, start, step, size in zip((h, w), before, stride, (height, width), strict=True):
            position = at - start
            conditions += [position >= integer(0), position < integer((size - 1) * step + 1)]
            if step > 1:
                conditions.append(tirx.EQ(tirx.floormod(position, integer(step)), integer(0)))
            pixels.append(tirx.floordiv(position, integer(step)) if step > 1 else position)
        return tirx.if_then_else(tirx.all(*conditions), image.load(n, *pixels, c), const(0.0))

    source = builder.blocks.compute("spread", (window.batch, window.reach(0), window.reach(1), channels), spread)
    return _convolve(builder, window, source, _flipped(window))


def _filters(window: Window) -> Pack:
    """(groups, out, rows, columns, in) from PyTorch's (groups · out, in, rows, columns)."""

    def pack(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        shape = (window.groups, window.outside, window.inside, *window.kernel)
        return constants["weight"].reshape(shape).transpose(0, 1, 3, 4, 2)

    return pack


def _flipped(window: Window) -> Pack:
    """(groups, out, rows, columns, in), both ways round, from PyTorch's (groups · in, out, rows, columns)."""

    def pack(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        shape = (window.groups, window.inside, window.outside, *window.kernel)
        return constants["weight"].reshape(shape)[..., ::-1, ::-1].transpose(0, 2, 3, 4, 1)

    return pack


def _convolve(builder: BlockBuilder, window: Window, source: View, filters: Pack) -> Written:
    if window.groups > 1 and window.inside == window.outside == 1:
        return _depthwise(builder, window, source, filters)
    weights = _weights(builder, window, filters)
    builder.declare_steps()
    grouped = window.groups > 1

    def split(kept: Sequence[Expr]) -> tuple[Expr, Expr]:
        """A group and a channel of it, of the last indices of the sum."""
        return (kept[3], kept[4]) if grouped else (integer(0), kept[3])

    def term(kept: Sequence[Expr], reduced: Sequence[Expr]) -> Expr:
        n, h, w = kept[:3]
        group, k = split(kept)
        r, s, c = reduced
        channel = group * window.inside + c if grouped else c
        return _tap(window, source, (n, h, w), (r, s), channel) * weights(group, k, r, s, c)

    channels = (window.groups, window.outside) if grouped else (window.outside,)
    shape = (window.batch, *window.out, *channels)
    total = builder.blocks.reduce("total", shape, (*window.kernel, window.inside), term)

    def place(indices: Sequence[Expr]) -> Sequence[Expr]:
        group, k = split(indices)
        return (*indices[:3], group * window.outside + k if grouped else k)

    return builder.finish(shape, lambda indices: total.load(*indices), place)


class _Weights:
    """The filters in the order that neighbouring threads read them in."""

    def __init__(self, view: View, *, channels_last: bool) -> None:
        self._view = view
        self._channels_last = channels_last

    def __call__(self, group: Expr, k: Expr, r: Expr, s: Expr, c: Expr) -> Expr:
        return self._view.load(*((group, r, s, c, k) if self._channels_last else (group, k, r, s, c)))


def _weights(builder: BlockBuilder, window: Window, filters: Pack) -> _Weights:
    if builder.choice.schedule != ELEMENT:
        shape = (window.groups, window.outside, *window.kernel, window.inside)
        return _Weights(builder.constant("weights", shape, filters), channels_last=False)
    shape = (window.groups, *window.kernel, window.inside, window.outside)
    turned = builder.constant("weights", shape, lambda constants: filters(constants).transpose(0, 2, 3, 4, 1))
    return _Weights(turned, channels_last=True)


def _tap(window: Window, source: View, pixel: Sequence[Expr], tap: Sequence[Expr], channel: Expr) -> Expr:
    n, *place = pixel
    at = [index * window.stride[axis] + tap[axis] * window.dilation[axis] for axis, index in enumerate(place)]
    return source.load(n, *at, channel)


def _depthwise(builder: BlockBuilder, window: Window, source: View, filters: Pack) -> Written:
    """One filter a channel: (rows, columns, channels), as the channels of a pixel are neighbouring threads."""
    shape = (*window.kernel, window.groups)
    weights = builder.constant("weights", shape, lambda constants: filters(constants)[:, 0, :, :, 0].transpose(1, 2, 0))
    builder.declare_steps()

    def term(kept: Sequence[Expr], reduced: Sequence[Expr]) -> Expr:
        n, h, w, c = kept
        return _tap(window, source, (n, h, w), reduced, c) * weights.load(*reduced, c)

    output = (window.batch, *window.out, window.groups)
    total = builder.blocks.reduce("total", output, window.kernel, term)
    return builder.finish(output, lambda indices: total.load(*indices))
