"""Operators that make float32 weights of what is stored in fewer bytes; compiled kernels do it in registers."""

from __future__ import annotations

import torch
from torch import Tensor

from hwaware.graph.own import operator, same_as


@operator("decode_int8(Tensor levels, Tensor scale) -> Tensor", same_as(torch.float32))
def decode_int8(levels: Tensor, scale: Tensor) -> Tensor:
    """float32 weights (K, …) of int8 levels and one scale an output channel (K)."""
    return levels.to(torch.float32) * scale.reshape([-1] + [1] * (levels.dim() - 1))


def _int4_meta(packed: Tensor, scale: Tensor, shape: list[int], group: int) -> Tensor:
    return packed.new_empty(shape, dtype=torch.float32)


@operator("decode_int4(Tensor packed, Tensor scale, SymInt[] shape, SymInt group) -> Tensor", _int4_meta)
def decode_int4(packed: Tensor, scale: Tensor, shape: list[int], group: int) -> Tensor:
    """float32 weights of `shape` (K, …), two levels from -8 to 7 a byte, and a scale for every `group` of a row.

    A row is an output channel's weights in the order (height, width, input channel), or (input) of a dense layer; its
    last group may be shorter. `packed` is uint8 (K, bytes of a row), the low half of a byte first, with 8 added;
    `scale` is float16 or float32 (K, groups of a row); kernels keep it as float16.
    """
    rows = torch.stack([packed & 15, packed >> 4], -1).flatten(1).to(torch.float32) - 8
    count = 1
    for size in shape[1:]:
        count *= size
    wide = rows[:, :count] * scale.to(torch.float32).repeat_interleave(group, 1)[:, :count]
    if len(shape) < 3:
        return wide.reshape(shape)
    return wide.reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1).contiguous()


@operator("decode_half(Tensor half) -> Tensor", same_as(torch.float32))
def decode_half(half: Tensor) -> Tensor:
    """float32 weights of float16 ones."""
    return half.to(torch.float32)


def _sparse_meta(values: Tensor, places: Tensor, starts: Tensor, shape: list[int]) -> Tensor:
    return values.new_empty(shape, dtype=torch.float32)


@operator("decode_sparse(Tensor values, Tensor places, Tensor starts, SymInt[] shape) -> Tensor", _sparse_meta)
def decode_sparse(values: Tensor, places: Tensor, starts: Tensor, shape: list[int]) -> Tensor:
    """float32 weights of `shape` (K, …), 0 but for `values`: those of row k are numbers starts[k] to starts[k + 1].

    A row is an output channel's weights in the order (input channel, height, width), or (input) of a dense layer;
    `places` (int32) says where in it each of the `values` (float32) is, `starts` (int32) has K + 1 entries.
    """
    rows = torch.repeat_interleave(torch.arange(shape[0]), starts.diff().to(torch.int64))
    dense = torch.zeros(shape, dtype=torch.float32).reshape(shape[0], -1)
    dense[rows, places.to(torch.int64)] = values.to(torch.float32)
    return dense.reshape(shape)


def _codebook_meta(codes: Tensor, codebook: Tensor, shape: list[int]) -> Tensor:
    return codebook.new_empty(shape, dtype=torch.float32)


@operator("decode_codebook(Tensor codes, Tensor codebook, SymInt[] shape) -> Tensor", _codebook_meta)
def decode_codebook(codes: Tensor, codebook: Tensor, shape: list[int]) -> Tensor:
    """float32 weights of `shape` (K, …): block b of row k, d neighbouring weights, is codebook[codes[k, b]].

    A row is an output channel's weights in the order (input channel, height, width), or (input) of a dense layer;
    `codes` is uint8 or int32 (K, blocks of a row), `codebook` float16 (codewords, d).
    """
    return codebook[codes.to(torch.int64)].to(torch.float32).reshape(shape)
