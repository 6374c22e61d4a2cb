"""Filters of depthwise convolutions in memory, ``[tap][channel]``: of one type, or two levels of 4 bits in a byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from tvm import tirx

from hwaware.compiler.kernel import KernelBuilder, ceil_div
from hwaware.compiler.tir import Buffer, Expr, cast, const, integer, load, splat
from hwaware.graph.workload import HALF, INT4, INT4_ZERO, INT8, STORED

# How they lie in memory, by the attribute that says so.
_STORED = {"": "float32", INT8: "int8", HALF: "float16"}


class Filters(Protocol):
    """What a tile reads weights by."""

    def vector(self, tap: Expr | int, channel: Expr, width: int) -> Expr:
        """Weights of `tap` for `width` channels from `channel` on."""


def filters(builder: KernelBuilder, channels: int, taps: int, padding: int) -> Filters:
    """Declare the weights of `builder`'s workload; rows of channels are read up to `padding` beyond their end."""
    form = str(dict(builder.workload.attrs).get(STORED, ""))
    if form.startswith(INT4):
        return _nibbles(builder, channels, taps, padding, int(form.removeprefix(f"{INT4}x")))
    dtype = "int8" if builder.workload.inputs[0].dtype == "uint8" else _STORED[form]

    def pack(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        lines = constants["weight"].reshape(channels, taps).T.reshape(-1)
        return np.pad(lines, (0, padding)).astype(dtype)

    return _Plain(builder.constant("weight", taps * channels + padding, pack, dtype), channels)


@dataclass(frozen=True)
class _Plain:
    weight: Buffer
    channels: int

    def vector(self, tap: Expr | int, channel: Expr, width: int) -> Expr:
        return load(self.weight, tap * self.channels + channel, width)


@dataclass(frozen=True)
class _Nibbles:
    """Two taps a byte, the first in its low half; a float16 scale for every `group` taps."""

    weight: Buffer
    scale: Buffer
    channels: int
    group: int

    def vector(self, tap: Expr | int, channel: Expr, width: int) -> Expr:
        at, two = integer(tap) if isinstance(tap, int) else tap, integer(2)
        byte = cast("int32", load(self.weight, tirx.floordiv(at, two) * self.channels + channel, width), width)
        shift = splat(tirx.floormod(at, two) * 4, width)
        level = tirx.bitwise_and(tirx.shift_right(byte, shift), const(15, width, "int32"))
        scale = load(self.scale, tirx.floordiv(at, integer(self.group)) * self.channels + channel, width)
        return cast("float32", level - const(INT4_ZERO, width, "int32"), width) * cast("float32", scale, width)


def _nibbles(builder: KernelBuilder, channels: int, taps: int, padding: int, group: int) -> _Nibbles:
    def pack(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        levels = constants["weight"].reshape(channels, taps).T.astype(np.int16) + INT4_ZERO
        lines = np.pad(levels, ((0, taps % 2), (0, 0))).astype(np.uint8)
        return np.pad((lines[0::2] | lines[1::2] << 4).reshape(-1), (0, padding))

    def scales(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.pad(constants["weight_scale"].reshape(channels, -1).T.reshape(-1), (0, padding)).astype(np.float16)

    weight = builder.constant("weight", ceil_div(taps, 2) * channels + padding, pack, "uint8")
    scale = builder.constant("scale", ceil_div(taps, group) * channels + padding, scales, "float16")
    return _Nibbles(weight, scale, channels, group)
