"""Dense weights out of codewords, and their bytes."""

from __future__ import annotations

import math

import pytest
import torch

from hwaware.compression.codebook.coded import CodedLayer, blocks_of, coded_bytes, half, rebuilt
from hwaware.compression.codebook.report import reported, size_of
from hwaware.errors import ModelError
from tests.compression.codebook.nets import net


def coded(codes: list[int], words: list[list[float]], shape: tuple[int, ...]) -> CodedLayer:
    return CodedLayer("conv", "conv.weight", shape, half(torch.tensor(words)), torch.tensor(codes))


def test_the_weight_is_the_codewords_in_the_order_of_the_indices() -> None:
    layer = coded([1, 0, 0, 1], [[1, 2, 3], [4, 5, 6]], (2, 2, 1, 3))
    weight = rebuilt(layer)
    assert weight.tolist() == [[[[4, 5, 6]], [[1, 2, 3]]], [[[1, 2, 3]], [[4, 5, 6]]]]
    assert torch.equal(blocks_of(weight, 3), layer.codebook[layer.assignments])


def test_blocks_are_the_papers_columns_cut_into_pieces() -> None:
    weight = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    columns = weight.reshape(6, 36).T  # (C_in · k · k) × C_out
    pieces = [columns[start : start + 18, out] for out in range(6) for start in (0, 18)]
    assert torch.equal(blocks_of(weight, 18), torch.stack(pieces))


def test_bytes_are_those_of_the_formula() -> None:
    # A 3×3 convolution of 512 to 512 channels of ResNet-18: 262,144 blocks of 9, a byte each, and 256 codewords.
    assert coded_bytes(512 * 512 * 9, 9, 256) == 512 * 512 + 256 * 9 * 2
    # 11 bits an index: no whole number of bytes.
    assert coded_bytes(512_000, 4, 2048) == 128_000 * 11 / 8 + 2048 * 4 * 2


def test_the_size_counts_what_is_not_coded_in_float32_and_no_statistics() -> None:
    graph = net()
    shape = tuple(graph.tensors["fc1.weight"].shape)
    layer = CodedLayer(
        "linear", "fc1.weight", shape, torch.zeros(16, 4), torch.zeros(math.prod(shape) // 4, dtype=torch.int64)
    )
    size = size_of(graph, [layer])
    parameters = sum(graph.tensors[name].numel() for name in graph.parameters)
    assert size.dense == 4 * parameters
    assert size.rest == 4 * (parameters - math.prod(shape))
    report = reported(layer, 1.0, 0.5)
    assert size.coded == coded_bytes(math.prod(shape), 4, 16) == report.index_bytes + report.codebook_bytes
    assert size.ratio == size.dense / (size.coded + size.rest)
    assert "bn1.running_mean" in graph.tensors.keys() - graph.parameters


@pytest.mark.parametrize(
    ("codes", "word", "message"),
    [
        ([0, 1], 1.0, r"^conv: a weight of shape \(2, 4\) needs 4 indices, not \(2,\)$"),
        ([0, 1, 2, 0], 1.0, "^conv: an index is outside of the 2 codewords$"),
        ([0, 1, -1, 0], 1.0, "^conv: an index is outside of the 2 codewords$"),
        ([0, 1, 1, 0], 1e6, "^conv: a codeword is not a float16 number; train with a lower learning rate$"),
    ],
)
def test_what_makes_no_weight_is_refused_in_one_line(codes: list[int], word: float, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        coded(codes, [[word, 0.0], [0.0, 1.0]], (2, 4))


def test_codewords_that_float16_does_not_have_are_refused() -> None:
    with pytest.raises(ModelError, match="not a float16 number"):
        CodedLayer("fc", "fc.weight", (1, 2), torch.tensor([[0.1, 0.2]]), torch.tensor([0]))


def test_rows_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(ModelError, match=r"^rows of 6 weights cannot be cut into blocks of 4; choose a divisor$"):
        blocks_of(torch.zeros(2, 6), 4)
