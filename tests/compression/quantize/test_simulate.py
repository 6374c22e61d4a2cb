"""The simulation agrees with the integers, and can be trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hwaware.compression.quantize.affine import Affine
from hwaware.compression.quantize.choices import Precision, everywhere
from hwaware.compression.quantize.placement import placement
from hwaware.compression.quantize.rewrite import quantized
from hwaware.compression.quantize.simulate import simulated, trained_graph
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from tests.compression.quantize.nets import images, ready, run
from tests.graph.nets import NETS


def levels_of(graph: Graph, names: list[str], x: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        found = GraphModel(replace(graph, outputs=tuple(f"{name}_levels" for name in names))).eval()(x)
    return [found] if len(names) == 1 else list(found)


@pytest.mark.parametrize("name", NETS)
def test_every_value_is_within_one_level_of_the_integers(name: str) -> None:
    graph, ranges = ready(name)
    kinds: list[Precision] = ["int8", "int8p"]
    choices = {layer: kinds[place % 2] for place, layer in enumerate(everywhere(graph, "int8"))}
    names = sorted(placement(graph, choices.__contains__).quantised)
    x = images(6, seed=4)
    integer = levels_of(quantized(graph, choices, ranges), names, x)
    floats = levels_of(simulated(graph, choices, ranges), names, x)
    apart = total = 0
    for value, q, real in zip(names, integer, floats, strict=True):
        scale, zero = ranges[value]
        level = (real / scale).round() + zero
        assert float((level - q).abs().max()) <= 1
        apart, total = apart + int((level != q).sum()), total + q.numel()
    assert apart <= 1e-3 * total


@pytest.mark.parametrize("precision", ["weight8", "weight4", "float16"])
@pytest.mark.parametrize("name", ["inverted", "unet", "one_dimensional", "tokens"])
def test_stored_weights_decode_to_the_simulated_ones(name: str, precision: Precision) -> None:
    graph, ranges = ready(name)
    choices = everywhere(graph, precision)
    x = images(3)
    ours, integer = (make(graph, choices, ranges) for make in (simulated, quantized))
    torch.testing.assert_close(run(ours, x), run(integer, x), atol=1e-6, rtol=1e-6)


def test_mixed_precisions_agree() -> None:
    graph, ranges = ready("residual")
    cycle: list[Precision] = ["int8", "float32", "weight4", "int8p", "weight8", "float16"]
    choices = {name: cycle[place % len(cycle)] for place, name in enumerate(everywhere(graph, "int8"))}
    x = images(5)
    ours, integer = (make(graph, choices, ranges) for make in (simulated, quantized))
    torch.testing.assert_close(run(ours, x), run(integer, x), atol=2e-3, rtol=1e-3)


def test_gradients_go_through_every_rounding_to_every_weight() -> None:
    graph, ranges = ready("inverted")
    model = GraphModel(simulated(graph, everywhere(graph, "int8p"), ranges))
    assert {name for name, _ in model.named_parameters()} == graph.parameters
    model(images(8)).square().sum().backward()
    plain = GraphModel(graph)
    plain(images(8)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        other = plain.get_parameter(name).grad
        assert other is not None
        # The direction is that of the float model's gradient.
        assert float(torch.cosine_similarity(parameter.grad.flatten(), other.flatten(), 0)) > 0.95, name


def test_no_gradient_reaches_what_is_out_of_range() -> None:
    import hwaware.compression.quantize.fake  # noqa: F401

    x = torch.tensor([-1.0, 0.2, 0.9, 1.4, 3.0], requires_grad=True)
    scale, zero = Affine(1 / 255, 0)
    torch.ops.hwaware.fake_levels(x, torch.tensor(scale), torch.tensor(zero, dtype=torch.int32)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 0, 0]


def test_what_was_trained_goes_back_to_the_graph() -> None:
    graph, ranges = ready("chain")
    model = GraphModel(simulated(graph, everywhere(graph, "int8"), ranges))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    after = trained_graph(graph, model.graph)
    assert after.nodes == graph.nodes
    assert all(torch.equal(after.tensors[name], 0.5 * graph.tensors[name]) for name in graph.parameters)
