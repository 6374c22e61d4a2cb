"""The integer operators against plain integer arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.graph import decode, integer
from hwaware.graph.functions import function_of


def _random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _ints(low: int, high: int, shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randint(low, high + 1, shape, generator=_random(seed)).to(dtype)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    channels=st.sampled_from([(1, 1, 1), (3, 5, 1), (8, 4, 2), (6, 6, 6), (300, 3, 1)]),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    zero=st.integers(0, 255),
)
def test_convolution_is_that_of_64_bit_integers(
    seed: int, channels: tuple[int, int, int], kernel: int, stride: int, padding: int, zero: int
) -> None:
    """Sums of many products leave what float32 counts exactly; padding is the number 0, the level `zero`."""
    c, k, groups = channels
    q = _ints(0, 255, (2, c, 5, 4), seed, torch.uint8)
    weight = _ints(-127, 127, (k, c // groups, kernel, kernel), seed + 1, torch.int8)
    bias = _ints(-(10**6), 10**6, (k,), seed + 2, torch.int32)
    scale = torch.rand(k, generator=_random(seed + 3)) * 1e-3
    got = integer.conv2d(q, weight, torch.tensor(zero, dtype=torch.int32), bias, scale, [stride] * 2, [padding] * 2,
                         [1, 1], groups)  # fmt: skip
    x = np.pad(q.numpy().astype(np.int64) - zero, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    h, w = got.shape[2:]
    sums = np.zeros(got.shape, np.int64)
    for out in range(k):
        first = out // (k // groups) * (c // groups)
        for y in range(h):
            for z in range(w):
                window = x[:, first : first + c // groups, y * stride : y * stride + kernel,
                           z * stride : z * stride + kernel]  # fmt: skip
                sums[:, out, y, z] = (window * weight[out].numpy().astype(np.int64)).sum((1, 2, 3)) + int(bias[out])
    wanted = sums.astype(np.float32) * scale.numpy()[None, :, None, None]
    assert np.array_equal(got.numpy(), wanted)


def test_dense_layer_is_that_of_64_bit_integers() -> None:
    q, weight = _ints(0, 255, (2, 3, 2000), 0, torch.uint8), _ints(-127, 127, (7, 2000), 1, torch.int8)
    bias, scale = _ints(-9, 9, (7,), 2, torch.int32), torch.rand(7, generator=_random(3))
    got = integer.linear(q, weight, torch.tensor(9, dtype=torch.int32), bias, scale)
    sums = (q.numpy().astype(np.int64) - 9) @ weight.numpy().astype(np.int64).T + bias.numpy()
    assert np.array_equal(got.numpy(), sums.astype(np.float32) * scale.numpy())


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(1e-6, 1e6), st.integers(0, 255))
def test_levels_are_the_nearest_and_within_range(seed: int, scale: float, zero: int) -> None:
    x = torch.randn(64, generator=_random(seed)) * 300 * scale
    one = torch.tensor(scale, dtype=torch.float32)
    at = torch.tensor(zero, dtype=torch.int32)
    q = integer.quantize(x, one, at)
    level = np.rint(x.numpy() * (np.float32(1) / one.numpy())) + zero
    assert np.array_equal(q.numpy(), np.clip(level, 0, 255).astype(np.uint8))
    inside = (level >= 0) & (level <= 255)
    back = integer.dequantize(q, one, at).numpy()
    assert (np.abs(back - x.numpy())[inside] <= 0.501 * one.numpy()).all()


@pytest.mark.parametrize("value", [3e38, -3e38, float("inf"), float("-inf")])
def test_numbers_beyond_all_levels_saturate(value: float) -> None:
    q = integer.quantize(torch.tensor([value]), torch.tensor(0.5), torch.tensor(7, dtype=torch.int32))
    assert int(q) == (255 if value > 0 else 0)


def test_ties_go_to_even() -> None:
    q = integer.quantize(torch.tensor([0.5, 1.5, 2.5, -0.5]), torch.tensor(1.0), torch.tensor(10, dtype=torch.int32))
    assert q.tolist() == [10, 12, 12, 10]


@pytest.mark.parametrize("shape", [(3, 7), (2, 5, 3, 3), (4, 1, 1, 1), (2, 3, 5)])
@pytest.mark.parametrize("group", [4, 64])
def test_four_bits_are_rows_in_memory_order_with_a_scale_a_group(shape: tuple[int, ...], group: int) -> None:
    levels = _ints(-8, 7, shape, 0, torch.int8).numpy()
    rows = np.moveaxis(levels, 1, -1).reshape(shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).astype(np.int64) + 8
    packed = torch.from_numpy((padded[:, 0::2] | padded[:, 1::2] << 4).astype(np.uint8))
    scale = torch.rand(shape[0], -(-rows.shape[1] // group), generator=_random(1))
    wide = rows * np.repeat(scale.numpy(), group, 1)[:, : rows.shape[1]]
    wanted = np.moveaxis(wide.reshape(shape[0], *shape[2:], shape[1]), -1, 1) if len(shape) > 2 else wide
    got = decode.decode_int4(packed, scale, list(shape), group)
    assert np.array_equal(got.numpy(), wanted.astype(np.float32))


@pytest.mark.parametrize("name", ["quantize", "dequantize", "conv2d", "linear", "decode_int8", "decode_int4"])
def test_operators_are_found_by_name(name: str) -> None:
    assert function_of(f"hwaware.{name}")._schema.name == f"hwaware::{name}"
