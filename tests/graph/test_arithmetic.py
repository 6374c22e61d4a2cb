"""What operations compute and read, by how their weights are stored."""

from __future__ import annotations

import pytest

from hwaware.graph.arithmetic import multiply_adds, weight_bytes
from hwaware.graph.ir import Spec
from hwaware.graph.workload import STORED, Workload, canonical


def layer(stored: str) -> Workload:
    """A 3x3 convolution of 16 to 32 channels on 10x12 pixels."""
    attrs: dict[str, object] = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    attrs |= {STORED: stored} if stored else {}
    sizes = (Spec((1, 10, 12, 16), "float32"),), Spec((1, 10, 12, 32), "float32")
    return Workload("conv2d", *sizes, canonical(attrs))  # type: ignore[arg-type]


WEIGHTS = 32 * 16 * 9


@pytest.mark.parametrize(
    ("stored", "count", "size"),
    [
        ("", WEIGHTS, 4 * WEIGHTS),
        ("int8", WEIGHTS, WEIGHTS),
        ("float16", WEIGHTS, 2 * WEIGHTS),
        ("int4x64", WEIGHTS, WEIGHTS * 5 // 8),
        ("sparse250", 250, 6 * 250),
        ("codebook256x9", WEIGHTS, WEIGHTS // 9 + 2 * 256 * 9),
        ("codebook512x9", WEIGHTS, 2 * WEIGHTS // 9 + 2 * 512 * 9),
    ],
)
def test_stored_weights(stored: str, count: int, size: int) -> None:
    assert multiply_adds(layer(stored)) == 10 * 12 * count
    assert weight_bytes(layer(stored)) == size
