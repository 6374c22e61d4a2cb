"""Which layers are coded, and the published d and k."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwaware.compression.codebook.coded import Form, coded_bytes
from hwaware.compression.codebook.layers import (
    LARGE,
    LARGE_BOTTLENECKS,
    SMALL,
    SMALL_BOTTLENECKS,
    Layer,
    Rules,
    checked,
    form_of,
    found,
    largest_k,
)
from hwaware.errors import ModelError
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Node, Spec
from tests.compression.codebook.nets import net


def layer(*shape: int) -> Layer:
    op = "linear.default" if len(shape) == 2 else "conv2d.default"
    return Layer(Node("layer", op, {}, Spec((), "float32"), ""), "weight", shape)


@pytest.mark.parametrize(
    ("shape", "rules", "form"),
    [
        ((512, 512, 3, 3), SMALL, Form(9, 256)),
        ((512, 512, 3, 3), LARGE, Form(18, 256)),
        ((512, 256, 1, 1), SMALL, Form(4, 256)),
        ((512, 256, 1, 1), LARGE, Form(4, 256)),
        ((512, 256, 1, 1), LARGE_BOTTLENECKS, Form(8, 256)),
        ((1000, 512), SMALL, Form(4, 2048)),
        ((1000, 2048), SMALL_BOTTLENECKS, Form(4, 1024)),
        # 2048 blocks allow 256 codewords; 1024 blocks do not, as a quarter of them is exactly that.
        ((64, 64, 3, 3), LARGE, Form(18, 256)),
        ((32, 64, 3, 3), LARGE, Form(18, 128)),
        # An odd number of channels has no pairs; 25 = 5 · 5 weights have no fours.
        ((64, 33, 3, 3), LARGE, Form(9, 256)),
        ((64, 25), SMALL, None),
        ((64, 27), SMALL, Form(3, 128)),
        ((8, 8), SMALL, Form(4, 2)),
        ((4, 8), SMALL, None),
    ],
)
def test_d_and_k_follow_the_published_rules(shape: tuple[int, ...], rules: Rules, form: Form | None) -> None:
    assert form_of(layer(*shape), rules) == form


@pytest.mark.parametrize(("vectors", "k"), [(8, 0), (9, 2), (16, 2), (17, 4), (1024, 128), (1025, 256), (1028, 256)])
def test_k_is_strictly_below_a_quarter_of_the_vectors(vectors: int, k: int) -> None:
    assert largest_k(vectors) == k


def test_the_shapes_of_resnet18_come_to_the_published_sizes() -> None:
    blocks = [(64, 64)] * 4 + [(128, 64)] + [(128, 128)] * 3 + [(256, 128)] + [(256, 256)] * 3
    blocks += [(512, 256)] + [(512, 512)] * 3
    shapes: list[tuple[int, ...]] = [(out, into, 3, 3) for out, into in blocks]
    shapes += [(128, 64, 1, 1), (256, 128, 1, 1), (512, 256, 1, 1), (1000, 512)]
    rest = 4 * (64 * 3 * 49 + 2 * (64 * 5 + 128 * 5 + 256 * 5 + 512 * 5) + 1000)
    for rules, published in ((SMALL, 1.541), (LARGE, 1.029)):
        total = float(rest)
        for shape in shapes:
            form = form_of(layer(*shape), rules)
            assert form is not None
            total += coded_bytes(layer(*shape).weights, form.d, form.k)
        assert round(total / 2**20, 3) == published


def test_layers_that_stay_are_said_with_the_reason() -> None:
    able = found(net())
    assert [layer.weight.removesuffix(".weight") for layer in able.layers] == [
        "conv1", "conv2", "point", "grouped", "fc1", "fc2",
    ]  # fmt: skip
    assert {reason.split(" have ")[0].split(" has ")[0] for reason in able.left.values()} == {
        "the first convolution",
        "depthwise convolutions",
    }
    assert len(found(net(), first=True).layers) == 7


def test_transposed_convolutions_stay() -> None:
    module = nn.Sequential(nn.ConvTranspose2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    able = found(capture_batched(module.eval(), (torch.zeros(2, 4, 5, 5),)))
    assert list(able.left.values()) == ["transposed convolutions are left alone"]
    assert [layer.weight for layer in able.layers] == ["1.weight"]


def test_a_weight_of_two_layers_stays() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.two(self.one(self.one(x)))
            return out

    able = found(capture_batched(Tied().eval(), (torch.zeros(2, 8),)))
    assert [layer.weight for layer in able.layers] == ["two.weight"]
    assert set(able.left.values()) == {"its weight is used elsewhere, too"}


def test_a_model_without_layers_to_code_is_one_line() -> None:
    graph = capture_batched(nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), (torch.zeros(2, 3, 8, 8),))
    with pytest.raises(ModelError, match=r"^the model has no layer that can be coded: conv2d: the first convolution"):
        found(graph)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Form(4, 4096), "^layer: k = 4096 is larger than its 1024 vectors; take at most 128$"),
        (Form(5, 16), "^layer: rows of 64 weights cannot be cut into blocks of 5$"),
        (Form(0, 16), "^layer: rows of 64 weights cannot be cut into blocks of 0$"),
        (Form(4, 100), "^layer: k = 100 is not a power of two$"),
    ],
)
def test_a_form_that_does_not_fit_is_one_line(form: Form, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        checked(layer(64, 64), form)
