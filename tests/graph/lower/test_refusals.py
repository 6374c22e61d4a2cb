"""What cannot be compiled says so in one line, with the operator and the module it came from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hwaware.compiler.schedules import generate
from hwaware.compiler.targets import base_target
from hwaware.errors import BuildError, ModelError, UnsupportedOpError
from hwaware.graph.capture import capture
from hwaware.graph.ir import Spec
from hwaware.graph.lower import lower
from hwaware.graph.workload import Workload
from tests.graph.lower.test_fusion import Apply


def refusal(module: nn.Module, *inputs: torch.Tensor) -> str:
    with pytest.raises(ModelError) as caught:
        lower(capture(module.eval(), inputs))
    message = str(caught.value)
    assert "\n" not in message
    return message


class Inside(nn.Module):
    """A module two levels down whose operator has no lowering."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


@pytest.mark.parametrize(
    ("layer", "operator"),
    [
        (nn.ReflectionPad2d(1), "pad"),
        (nn.AdaptiveMaxPool2d(1), "adaptive_max_pool2d"),
        (nn.AvgPool2d(2, divisor_override=3), "avg_pool2d"),
    ],
)
def test_an_unsupported_operator_is_named_with_its_module(layer: nn.Module, operator: str) -> None:
    with pytest.raises(UnsupportedOpError) as caught:
        lower(capture(Inside(layer).eval(), (torch.randn(1, 3, 6, 6),)))
    assert f"aten.{operator}" in str(caught.value)
    assert "'body.1'" in str(caught.value)


CALLS: dict[str, tuple[Callable[..., torch.Tensor], tuple[torch.Tensor, ...], str]] = {
    "integers": (lambda x: x + 1, (torch.arange(4),), "int64 is not supported"),
    "weights that are computed": (F.linear, (torch.randn(2, 3), torch.randn(4, 3)), "weight"),
    "a mask from the input": (
        lambda x, m: F.scaled_dot_product_attention(x, x, x, m),
        (torch.randn(1, 2, 4, 8), torch.randn(1, 2, 4, 4)),
        "mask",
    ),
    "an empty tensor": (lambda x: x[:, :0] * 2, (torch.randn(2, 3),), "without elements"),
    "alpha": (lambda x, y: torch.sub(x, y, alpha=2), (torch.randn(3), torch.randn(3)), "alpha"),
    "an odd exponent": (lambda x: x**2.7, (torch.rand(3),), "exponent"),
    "vectors": (lambda x, y: x @ y, (torch.randn(2, 3), torch.randn(3)), "aten."),
}


@pytest.mark.parametrize("name", CALLS)
def test_arguments_no_lowering_covers(name: str) -> None:
    function, inputs, said = CALLS[name]
    assert said in refusal(Apply(function), *inputs)


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.AdaptiveAvgPool2d(1)]
)
def test_an_image_without_a_batch(layer: nn.Module) -> None:
    assert "batch dimension" in refusal(layer, torch.randn(3, 8, 8))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bool])
def test_inputs_of_other_types(dtype: torch.dtype) -> None:
    assert str(dtype).removeprefix("torch.") in refusal(Apply(lambda x: x.view(-1)), torch.ones(2, 3).to(dtype))


def test_half_precision_weights() -> None:
    assert "float16" in refusal(nn.Embedding(4, 3).half(), torch.tensor([1, 2]))


def test_dynamic_shapes() -> None:
    message = refusal(Apply(lambda x: x[x > 0] * 2), torch.randn(5))
    assert "shape" in message


def test_control_flow_that_depends_on_data() -> None:
    message = refusal(Apply(lambda x: x * 2 if x.sum() > 0 else x), torch.randn(5))
    assert "control flow" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value: float) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    net[1].weight.data[0, 0] = value
    message = refusal(net, torch.randn(1, 3))
    assert "1.weight" in message
    assert "NaN" in message


LARGE = {
    "input": Workload(
        "map", (Spec((2**31,), "float32"),), Spec((2**31,), "float32"), (("offset", 0), ("strides", (1,)))
    ),
    "output": Workload(
        "resample", (Spec((1, 2, 2, 3), "float32"),), Spec((1, 2**16, 2**15, 3), "float32"), (("mode", "nearest"),)
    ),
    "weights": Workload("dense", (Spec((1, 2**16), "float32"),), Spec((1, 2**15), "float32")),
}


@pytest.mark.parametrize("name", LARGE)
def test_tensors_beyond_32_bit_indices(name: str) -> None:
    with pytest.raises(BuildError, match="can index"):
        generate(LARGE[name], base_target("x86_64"))
