"""The integer graph: what it holds, that it runs, is saved, and says what is wrong with what it was given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hwaware.compression.quantize.affine import Affine, affine
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import Precision, everywhere, settled
from hwaware.compression.quantize.rewrite import quantized
from hwaware.errors import ModelError
from hwaware.graph.execute import infer
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from hwaware.graph.store import load, save
from tests.compression.quantize.nets import SEVERAL, graph_of, images, ready, run, task_of

ERROR: dict[Precision, float] = {
    "int8": 0.05,
    "int8p": 0.05,
    "weight8": 0.02,
    "weight4": 0.2,
    "float16": 1e-3,
}  # of the output's norm


@pytest.mark.parametrize("name", SEVERAL)
def test_it_runs_at_any_batch_size_close_to_the_floats(name: str) -> None:
    graph, ranges = ready(name)
    x = images(5, seed=9)
    wanted = run(graph, x)
    for precision, error in ERROR.items():
        after = quantized(graph, everywhere(graph, precision), ranges)
        assert [node.spec for node in infer(after, after.inputs).nodes] == [node.spec for node in after.nodes]
        found = run(after, x)
        assert (found - wanted).norm() < error * wanted.norm()
        torch.testing.assert_close(run(after, x[:1]), found[:1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("precision", ERROR)
def test_it_is_saved_and_loaded_bit_for_bit(precision: Precision, tmp_path: Path) -> None:
    for name in ("residual", "fires", "flat", "one_dimensional", "unet"):
        graph, ranges = ready(name)
        model = GraphModel(quantized(graph, everywhere(graph, precision), ranges)).eval()
        save(model, tmp_path / "m")
        again = load(tmp_path / "m")
        assert again.graph.nodes == model.graph.nodes
        x = images(3)
        assert torch.equal(again(x), model(x))


def test_tensors_keep_their_names() -> None:
    graph, ranges = ready("residual")
    after = quantized(
        graph, {"conv2d": "int8", "conv2d_1": "int8p", "conv2d_2": "weight8", "linear": "float16"}, ranges
    )
    types = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in after.tensors.items()}
    assert types["stem.0.weight"] == types["one.first.0.weight"] == types["one.second.0.weight"] == "int8"
    assert types["stem.0.bias"] == types["one.first.0.bias"] == "int32"
    assert types["stem.0.scale"] == types["one.second.0.weight_scale"] == types["one.second.0.bias"] == "float32"
    assert types["head.weight"] == "float16"
    assert types["relu.scale"] == "float32"
    assert types["relu.zero"] == "int32"
    assert types["two.first.0.weight"] == "float32"  # was not named
    # Only what is float32 and was trained is trained on.
    assert {"head.bias", "two.first.0.weight", "one.second.0.bias"} < after.parameters
    assert all(types[name] == "float32" for name in after.parameters)
    names = {node.name for node in after.nodes}
    assert {node.name for node in graph.nodes} <= names


def test_values_between_integer_layers_exist_as_levels_only() -> None:
    graph, ranges = ready("residual")
    after = quantized(graph, everywhere(graph, "int8"), ranges)
    producers, users = after.producers(), after.users()
    for node in after.nodes:
        if node.op == "hwaware.dequantize":
            assert [reader.op for reader in users[node.name]] == ["add.Tensor"]
        if node.op == "hwaware.conv2d":
            source = next(node.refs())
            assert after.specs[source].dtype == "uint8"
            assert producers[source].op == "hwaware.quantize"
            # What was quantised has no other reader: it never leaves the registers.
            made = next(producers[source].refs())
            assert made in after.inputs or len(users[made]) == 1


def test_all_that_share_levels_share_their_tensors() -> None:
    graph, ranges = ready("fires")
    after = quantized(graph, everywhere(graph, "int8"), ranges)
    assert {"relu_2.scale", "relu_2.zero"} <= after.tensors.keys()
    assert not {"relu_3.scale", "cat.scale", "max_pool2d.scale"} & after.tensors.keys()
    pool = after.producers()["max_pool2d"]
    assert pool.spec.dtype == "uint8"


def test_padding_is_the_zero_point() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ZeroPad2d(1), nn.Conv2d(4, 2, 3))
    graph = graph_of(net, 3, 4, 4)
    ranges = calibrate(graph, task_of(graph), observer="minmax")
    after = quantized(graph, everywhere(graph, "int8"), ranges)
    (pad,) = (node for node in after.nodes if "pad" in node.op)
    assert pad.spec.dtype == "uint8"
    assert ranges[pad.name].zero == pad.args["value"] != 0
    x = images(2, 0, (3, 4, 4))
    # Rounding costs 2 to 8 % whatever the weights, padding with the level 0 from 68 % on.
    assert (run(after, x) - run(graph, x)).norm() < 0.15 * run(graph, x).norm()


def test_the_bias_and_the_scales_are_exact() -> None:
    """A layer of known numbers, done by hand."""
    net = nn.Sequential(nn.Linear(2, 2))
    net[0].weight.data = torch.tensor([[1.27, -0.5], [0.0, 0.0]])
    net[0].bias.data = torch.tensor([0.25, 7.0])
    graph = graph_of(net, 2)
    ranges = {"input": Affine(0.5, 10)}
    scales = {"linear": torch.tensor([0.25, 0.125])}
    after = quantized(graph, {"linear": "int8"}, ranges, scales=scales)
    assert after.tensors["0.weight"].tolist() == [[5, -2], [0, 0]]
    assert after.tensors["0.bias"].tolist() == [2, 112]
    assert after.tensors["0.scale"].tolist() == [0.125, 0.0625]
    x = torch.tensor([[1.0, 3.1], [200.0, -100.0]])
    levels = [[2, 6], [245, -10]]  # within 0 to 255 with 10 added
    assert run(after, x).tolist() == [[(5 * a - 2 * b + 2) * 0.125, 7.0] for a, b in levels]


@pytest.mark.parametrize("bias", [0.0, 1e-20, 3.0, -1e6])
@pytest.mark.parametrize("size", [0.0, 1e-40, 1e-20, 1e-6, 1e4])
def test_tiny_and_zero_channels_keep_their_bias(size: float, bias: float) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3))
    torch.manual_seed(0)
    net[0].weight.data[0] *= size
    net[0].bias.data[0] = bias
    graph = graph_of(net, 3, 5, 5)
    x = images(4, 0, (3, 5, 5))
    for precision in ("int8", "int8p"):
        after = quantized(graph, {"conv2d": precision}, {"input": affine(float(x.min()), float(x.max()))})
        scale = after.tensors["0.scale"]
        assert bool(((scale >= torch.finfo(torch.float32).tiny) & torch.isfinite(scale)).all())
        wanted = run(graph, x)[:, 0]
        # Below 2^-60 a scale ends, and with it what is seen.
        assert float((run(after, x)[:, 0] - wanted).abs().max()) <= 0.05 * float(wanted.abs().max()) + 1e-16


def test_a_shared_weight_has_levels_for_each_input() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.conv.bias.data.fill_(1.0)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(torch.relu(10 * self.conv(x)))

    torch.manual_seed(0)
    graph = graph_of(Twice(), 3, 4, 4)
    ranges = calibrate(graph, task_of(graph), observer="minmax")
    x = images(4, 0, (3, 4, 4))
    for choices in ({"conv2d": "int8", "conv2d_1": "int8"}, {"conv2d_1": "int8"}, {"conv2d": "weight8"}):
        after = quantized(graph, choices, ranges)  # type: ignore[arg-type]
        assert (run(after, x) - run(graph, x)).norm() < 0.05 * run(graph, x).norm()


def test_dropout_and_copies_are_gone() -> None:
    graph, ranges = ready("flat")
    after = quantized(graph, everywhere(graph, "int8"), ranges)
    assert not [node.name for node in after.nodes if node.op.startswith(("dropout", "clone"))]
    model = GraphModel(after).train()
    assert torch.equal(model(images(2)), run(after, images(2)))


def test_layers_that_stay_float_are_listed_with_the_reason() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.up = nn.Conv1d(3, 4, 3), nn.ConvTranspose1d(4, 4, 3)
            self.wide, self.last = nn.Linear(64 * 1024, 1), nn.Linear(8, 8)
            self.last.weight.data[0, 0] = 1e6

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = self.up(self.conv1(x))
            y = self.last(x) @ x.transpose(1, 2)
            return self.wide(torch.cat([x.flatten(1)] * 2048, 1)), y

    graph = graph_of(Net(), 3, 8)
    choices = {"conv1d": "int8", "conv_transpose1d": "int8p", "linear_1": "int8", "linear": "float16"}
    found = settled(graph, choices)  # type: ignore[arg-type]
    assert found.precisions == {}
    assert found.kept == {
        "conv1d": "conv1d has no integer kernel; weight8, weight4 and float16 are possible",
        "conv_transpose1d": "conv_transpose1d has no integer kernel; weight8, weight4 and float16 are possible",
        "linear_1": "sums of 65536 products can leave int32",
        "linear": "its weight 1e+06 is beyond float16",
        "matmul": "matmul.default has no quantised form",
    }
    after = quantized(graph, choices, {})  # type: ignore[arg-type]
    assert after.nodes == graph.nodes


def of_linear() -> tuple[Graph, dict[str, Affine]]:
    graph = graph_of(nn.Sequential(nn.Linear(4, 4)), 4)
    return graph, {"input": affine(-1.0, 1.0)}


def test_bad_input_is_one_clear_line() -> None:
    graph, ranges = of_linear()
    with pytest.raises(ModelError, match=r"^'conv' is no convolution or dense layer of the model; it has linear$"):
        quantized(graph, {"conv": "int8"}, ranges)
    with pytest.raises(
        ModelError, match=r"^linear: the precision 'int7' is unknown; choose from float32, int8, int8p,"
    ):
        quantized(graph, {"linear": "int7"}, ranges)  # type: ignore[dict-item]
    with pytest.raises(ModelError, match=r"^value input has no range: calibrate the model with these choices$"):
        quantized(graph, {"linear": "int8"}, {})
    graph.tensors["0.weight"] = torch.full((4, 4), torch.inf)
    with pytest.raises(ModelError, match=r"^0.weight holds NaN or infinite values: train or load the model again$"):
        quantized(graph, {"linear": "int8"}, ranges)


def test_ranges_that_should_be_shared_and_are_not() -> None:
    graph, ranges = ready("fires")
    other = {**ranges, "relu_3": affine(0.0, 99.0)}
    with pytest.raises(ModelError, match=r"^values relu_2 and relu_3 share their levels, but not their ranges"):
        quantized(graph, everywhere(graph, "int8"), other)
