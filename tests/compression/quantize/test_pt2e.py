"""PT2E's pairs of quantise and dequantise, from torchao and by hand, as integer layers."""

from __future__ import annotations

import functools
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.ao.quantization.fx._decomposed
from torch import Tensor, nn

from hwaware.compression.quantize.pt2e import accepted, captured, taken
from hwaware.errors import UnsupportedOpError
from hwaware.graph.capture import capture
from hwaware.graph.execute import infer
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from hwaware.graph.store import load, save
from hwaware.reference import load_model
from tests.compression.quantize.nets import images, ready, run
from tests.requirements import need_path

OPS = torch.ops.quantized_decomposed


class Net(nn.Module):
    """Shared and residual values, a concatenation, a depthwise layer without a bias, a pool and a reshape."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.last = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        y = torch.relu(self.second(x) + x)
        y = self.third(torch.cat([y, y], 1)[:, 4:12])
        return self.last(nn.functional.max_pool2d(y, 4).flatten(1))


def x86() -> Any:
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as module

    return module.X86InductorQuantizer().set_global(module.get_default_x86_inductor_quantization_config())


def xnnpack(*, per_channel: bool = True) -> Any:
    from torchao.testing.pt2e import _xnnpack_quantizer as module

    config = module.get_symmetric_quantization_config(is_per_channel=per_channel)
    return module.XNNPACKQuantizer().set_global(config)


QUANTIZERS: dict[str, Callable[[], Any]] = {
    "x86": x86,
    "xnnpack": xnnpack,
    "one scale a weight": lambda: xnnpack(per_channel=False),
}


@functools.cache
def converted(kind: str) -> nn.Module:
    """What torchao makes of `Net`; nobody may change it."""
    found = importlib.util.find_spec("torchao")
    need_path(Path(found.origin if found and found.origin else "torchao"), why="pip install torchao")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        prepared = prepare_pt2e(torch.export.export(Net().eval(), (images(2),)).module(), QUANTIZERS[kind]())
        for seed in (1, 2, 3):
            prepared(images(2, seed))
        module: nn.Module = convert_pt2e(prepared)
        return module


@functools.cache
def graph_from(kind: str) -> Graph:
    """The same in integers."""
    return captured(converted(kind), (images(2),))


def apart(module: nn.Module, graph: Graph, *inputs: Tensor) -> float:
    """The largest difference of the outputs, relative to the largest output."""
    with torch.no_grad():
        wanted = module(*inputs)
        return float((GraphModel(graph).eval()(*inputs) - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_what_torchao_made_computes_the_same_in_integers(kind: str, tmp_path: Path) -> None:
    module, graph = converted(kind), graph_from(kind)
    ops = [node.op for node in graph.nodes]
    assert ops.count("hwaware.conv2d") == 3
    assert ops.count("hwaware.linear") == 1
    # The pool and the reshape work on levels, and pairs around them are gone.
    assert [node.spec.dtype for node in graph.nodes if node.op.startswith(("max_pool2d", "view"))] == ["uint8", "uint8"]
    assert [node.spec for node in infer(graph, graph.inputs).nodes] == [node.spec for node in graph.nodes]
    assert graph.parameters == frozenset()
    for seed in (4, 5):
        assert apart(module, graph, images(2, seed)) < 0.02  # a level somewhere, at most
    save(GraphModel(graph), tmp_path / "m")
    assert torch.equal(load(tmp_path / "m")(images(2)), run(graph, images(2)))


def test_an_exported_program_is_taken_as_well() -> None:
    module = converted("x86")
    program = torch.export.export(module, (images(2),))
    assert captured(program, (images(2),)).nodes == graph_from("x86").nodes


def test_a_file_of_torchaos_is_a_model_as_any_other(tmp_path: Path) -> None:
    """Read by what every verb reads models with; predictions and compilation take it from there."""
    module = converted("x86")
    torch.export.save(torch.export.export(module, (images(2),)), tmp_path / "net.pt2")
    model = load_model(str(tmp_path / "net.pt2"))
    assert model.name == "net"
    program = lower(capture(model.module, model.example_inputs))
    assert sum(spec.dtype == "uint8" for op in program.ops for spec in op.input_specs) >= 4
    assert torch.equal(model.module(images(2, 4)), run(graph_from("x86"), images(2, 4)))
    assert apart(module, graph_from("x86"), images(2, 4)) < 0.02


def test_a_module_that_was_not_quantised_is_left_alone() -> None:
    net = Net().eval()
    assert taken(net, (images(2),)) is net
    exported = torch.export.export(net, (images(2),)).module()
    assert taken(exported, (images(2),)) is exported


def test_a_graph_without_pairs_is_returned_as_it_is() -> None:
    graph, _ = ready("chain")
    assert accepted(graph) is graph


class Paired(nn.Module):
    """A layer between pairs, put there by hand."""

    def __init__(self, layer: nn.Module, *, low: int = 0, high: int = 255, dtype: torch.dtype = torch.uint8) -> None:
        super().__init__()
        self.layer = layer
        self.levels = (0.05, (low + high + 1) // 2, low, high, dtype)

    def rounded(self, x: Tensor) -> Tensor:
        levels: Tensor = OPS.quantize_per_tensor(x, *self.levels)
        result: Tensor = OPS.dequantize_per_tensor(levels, *self.levels)
        return result

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(self.rounded(x))
        return result


class Stored(nn.Module):
    """A convolution with a constant weight of int8 levels."""

    def __init__(self, function: Callable[..., Tensor], axis: int = 0, zero: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("weight", torch.randint(-127, 128, (4, 4, 3, 3), dtype=torch.int8))
        self.register_buffer("scale", torch.rand(4) / 100 + 0.01)
        self.register_buffer("zero", torch.full((4,), zero))
        self.bias = nn.Parameter(torch.randn(4))
        self.function, self.axis = function, axis

    def forward(self, x: Tensor) -> Tensor:
        weight = OPS.dequantize_per_channel(self.weight, self.scale, self.zero, self.axis, -127, 127, torch.int8)
        return self.function(x, weight, self.bias)


X = 2 * images(2, 0, (4, 6, 6))


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(0, 255, torch.uint8), (-128, 127, torch.int8), (0, 127, torch.uint8)]
)
def test_signed_and_narrower_levels(low: int, high: int, dtype: torch.dtype) -> None:
    module = Paired(Stored(nn.functional.conv2d), low=low, high=high, dtype=dtype)
    graph = captured(module, (X,))
    assert [node.op for node in graph.nodes if "conv" in node.op] == ["hwaware.conv2d"]
    assert apart(module, graph, X) < 1e-4  # the bias is rounded
    (quantize,) = (node for node in graph.nodes if node.op == "hwaware.quantize")
    zero = int(graph.tensors[quantize.args["zero"].name])  # type: ignore[union-attr]
    assert zero == (64 if high == 127 and low == 0 else 128)
    assert run(graph, X).shape == (2, 4, 4, 4)


@pytest.mark.parametrize(
    ("layer", "decoded"),
    [
        (Stored(nn.functional.conv_transpose2d), True),  # no integer kernel: the levels are decoded
        (Stored(nn.functional.conv_transpose2d, axis=1), False),  # scales along another axis: a float weight
        (Stored(nn.functional.conv2d, zero=3), False),  # a zero point
    ],
)
def test_weights_that_no_integer_layer_takes(layer: nn.Module, decoded: bool) -> None:
    module = Paired(layer)
    graph = captured(module, (X,))
    ops = [node.op for node in graph.nodes]
    assert ("hwaware.decode_int8" in ops) == decoded
    assert not {"hwaware.conv2d", "hwaware.linear"} & set(ops)
    assert apart(module, graph, X) < 1e-5
    assert graph.parameters == {"layer.bias"}


def test_a_weight_alone_is_stored_in_8_bits() -> None:
    module = Stored(nn.functional.conv2d)
    graph = captured(module, (X,))
    assert [node.op for node in graph.nodes] == ["hwaware.decode_int8", "conv2d.default"]
    assert graph.tensors["weight"].dtype == torch.int8
    assert apart(module, graph, X) < 1e-5


class Dynamic(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        scale, zero = OPS.choose_qparams.tensor(x, 0, 255, 1e-6, torch.uint8)
        result: Tensor = OPS.quantize_per_tensor.tensor(x, scale, zero, 0, 255, torch.uint8)
        return result


class Channels(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        scale, zero = torch.ones(4), torch.zeros(4, dtype=torch.int64)
        result: Tensor = OPS.quantize_per_channel(x, scale, zero, 1, -128, 127, torch.int8)
        return result


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Paired(nn.Identity(), low=-32768, high=32767, dtype=torch.int16), "levels of type int16 are not supported"),
        (Dynamic(), "has no lowering"),
        (Channels(), "activations with a scale a channel are not supported"),
    ],
)
def test_what_is_not_supported_is_one_clear_line(module: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedOpError, match=rf"^operator \S+ in module '\S+':? {message}") as caught:
        captured(module, (X,))
    assert "\n" not in str(caught.value)
