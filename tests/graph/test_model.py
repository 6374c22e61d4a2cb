"""`GraphModel` is the module it was captured from: same values, same training, same names."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.model import GraphModel
from tests.graph.nets import NETS, SHAPE, build, captured, conv


def pair(name: str) -> tuple[nn.Module, GraphModel]:
    module = build(name)
    return module, GraphModel(captured(name)[0]).eval()


@pytest.mark.parametrize("name", NETS)
def test_evaluates_like_the_module_at_any_batch(name: str) -> None:
    module, model = pair(name)
    for batch in (1, 2, 5):
        value = torch.randn(batch, *SHAPE)
        with torch.no_grad():
            torch.testing.assert_close(model(value), module(value), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(NETS) - {"tokens", "flat"}))
def test_trains_like_the_module(name: str) -> None:
    """Without dropout: three steps of descent give the same loss, gradients and running statistics."""
    module, model = pair(name)
    module.train()
    model.train()
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9) for m in (module, model)]
    for step in range(3):
        value = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(step))
        losses = []
        for net, optimizer in zip((module, model), optimizers, strict=True):
            optimizer.zero_grad()
            loss = net(value).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.testing.assert_close(*losses)
    expected = module.state_dict()
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, expected[key], rtol=1e-4, atol=1e-5)


def test_dropout_drops_only_in_training() -> None:
    _, model = pair("flat")
    value = torch.randn(4, *SHAPE)
    assert torch.equal(model(value), model(value))
    model.train()
    assert not torch.equal(model(value), model(value))


def test_state_dict_has_the_names_of_the_graph() -> None:
    module, model = pair("residual")
    assert set(model.state_dict()) == set(model.graph.tensors)
    trained = {name for name, _ in module.named_parameters()}
    assert {name for name, _ in model.named_parameters()} == trained == model.graph.parameters
    model.load_state_dict({key: tensor + 1 for key, tensor in model.state_dict().items()})
    assert torch.equal(model.graph.tensors["stem.0.weight"], module.state_dict()["stem.0.weight"] + 1)


def test_names_that_modules_already_have() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.example_inputs_, self.parameters_ = nn.Linear(4, 4), nn.Linear(4, 4)
            self.add_module("state", nn.Linear(4, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.get_submodule("state")(self.parameters_(self.example_inputs_(x)))

    graph = capture_batched(Net().eval(), (torch.zeros(2, 4),))
    renames = {f"{a}.{leaf}": f"{b}.{leaf}" for a, b in RENAMED for leaf in ("weight", "bias")}
    model = GraphModel(renamed(graph, renames))
    assert {"graph.weight", "type.bias", "forward.weight"} <= set(model.state_dict())
    model.load_state_dict(model.state_dict())
    value = torch.randn(3, 4)
    torch.testing.assert_close(model(value), GraphModel(graph)(value))


RENAMED = (("example_inputs_", "graph"), ("parameters_", "type"), ("state", "forward"))


def renamed(graph, renames):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    from hwaware.graph.ir import Graph, Ref

    def fix(arg):  # type: ignore[no-untyped-def]
        return Ref(renames[arg.name]) if isinstance(arg, Ref) and arg.name in renames else arg

    nodes = [replace(node, args={key: fix(arg) for key, arg in node.args.items()}) for node in graph.nodes]
    tensors = {renames.get(name, name): tensor for name, tensor in graph.tensors.items()}
    return Graph(graph.inputs, nodes, graph.outputs, tensors, frozenset(tensors), graph.batched)


def test_is_a_copy_and_copies() -> None:
    module, model = pair("chain")
    value = torch.randn(2, *SHAPE)
    before = model(value)
    twin = copy.deepcopy(model)
    for tensor in (*module.parameters(), *twin.parameters()):
        tensor.data.zero_()
    assert torch.equal(model(value), before)
    assert not torch.equal(twin(value), before)


def test_channels_last_inputs_run() -> None:
    module, model = pair("flat")
    value = torch.randn(2, *SHAPE).to(memory_format=torch.channels_last)
    torch.testing.assert_close(model(value), module(value))


def test_a_static_graph_for_other_shapes() -> None:
    module, model = pair("tokens")
    value = torch.randn(4, *SHAPE)
    graph = model.graph_for((value,))
    assert not graph.batched
    assert graph.inputs["x"].shape == (4, *SHAPE)
    assert not any(
        -1 in arg
        for node in graph.nodes
        for arg in node.args.values()
        if isinstance(arg, tuple) and node.op in {"view.default", "expand.default"}
    )
    torch.testing.assert_close(GraphModel(graph).eval()(value), module(value), rtol=1e-5, atol=1e-6)
    assert capture(model, (value,)).inputs == graph.inputs


def test_wrong_inputs_are_refused() -> None:
    _, model = pair("chain")
    with pytest.raises(ModelError, match=r"takes 1 inputs \(.*\), not 2"):
        model(torch.zeros(1, *SHAPE), torch.zeros(1))
    with pytest.raises(ModelError, match=r"has shape \(1, 3, 9, 9\), the model takes \(N, 3, 8, 8\)"):
        model(torch.zeros(1, 3, 9, 9))
    static = GraphModel(model.graph_for((torch.zeros(2, *SHAPE),)))
    with pytest.raises(ModelError, match=r"the model takes \(2, 3, 8, 8\)"):
        static(torch.zeros(3, *SHAPE))


def test_example_inputs_are_seeded_and_fit() -> None:
    _, model = pair("chain")
    (value,) = model.example_inputs
    assert value.shape == (2, *SHAPE)
    assert torch.equal(value, pair("chain")[1].example_inputs[0])

    net = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 2)).eval()
    words = GraphModel(capture(net, (torch.zeros(5, 7, dtype=torch.int64),)))
    assert words.example_inputs[0].dtype == torch.int64
    assert words(*words.example_inputs).shape == (5, 7, 2)


def test_only_parameters_are_trained() -> None:
    model = GraphModel(capture_batched(conv(3, 4).eval(), (torch.zeros(2, *SHAPE),)))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(buffer.requires_grad for buffer in model.buffers())
    assert {name for name, _ in model.named_buffers()} == {"1.running_mean", "1.running_var"}


def test_a_view_may_leave_one_size_open_besides_the_batch() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.view(x.shape[0], 4, -1, 8).sum(2)

    model = GraphModel(capture_batched(Net(), (torch.zeros(2, *SHAPE),)))
    assert [node.args["size"] for node in model.graph.nodes if "size" in node.args] == [(-1, 4, 6, 8)]
    value = torch.randn(5, *SHAPE)
    torch.testing.assert_close(model(value), Net()(value))


def test_a_mask_may_be_minus_infinity_a_weight_may_not() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.full((8, 8), float("-inf")).triu(1))
            self.weight = nn.Parameter(torch.ones(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x * self.weight + self.mask).softmax(-1)

    net, value = Net(), torch.randn(2, *SHAPE)
    torch.testing.assert_close(GraphModel(capture_batched(net, (value,)))(value), net(value))
    net.mask[0, 1] = float("nan")
    with pytest.raises(ModelError, match="mask holds NaN or infinite values"):
        capture_batched(net, (value,))
    net.mask[0, 1], net.weight.data[3] = 0, float("-inf")
    with pytest.raises(ModelError, match="weight holds NaN or infinite values"):
        capture_batched(net, (value,))
