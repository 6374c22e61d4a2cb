"""Sliced and masked networks compute the same, for every way of coupling channels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hwaware.errors import ModelError
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.channels import ChannelGroup, channel_groups
from hwaware.graph.ir import Graph, Spec
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import masked, slice_graph
from tests.graph.nets import NETS, SHAPE, Block, Inverted, build, captured, conv


def outputs(graph: Graph, *inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return GraphModel(graph).eval()(*inputs)


def assert_close(a: torch.Tensor, b: torch.Tensor) -> None:
    assert a.shape == b.shape
    assert float((a - b).abs().max()) <= 1e-5 * (1 + float(b.abs().max()))


@st.composite
def keeps(draw: st.DrawFn, groups: tuple[ChannelGroup, ...]) -> dict[str, list[int]]:
    keep = {}
    for group in groups:
        if group.pinned is None:
            least = draw(st.sampled_from([1, 1, 1, 0]))
            kept = draw(st.sets(st.integers(0, group.size - 1), min_size=least))
            keep[group.name] = sorted(kept)
    return keep


def check_specs(graph: Graph, value: torch.Tensor) -> None:
    """What the graph says of its shapes is what running it gives, node by node."""
    from hwaware.graph.execute import Mode, step

    values = {**graph.tensors, next(iter(graph.inputs)): value}
    for node in graph.nodes:
        values[node.name] = step(graph, node)(values, Mode(training=False, batch=len(value)))
        assert Spec.of(values[node.name]) == node.spec, node


@pytest.mark.parametrize("name", NETS)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_sliced_equals_masked(name: str, data: st.DataObject) -> None:
    graph, groups = captured(name)
    keep = data.draw(keeps(groups))
    hidden = masked(graph, keep)
    try:
        smaller = slice_graph(graph, keep)
    except ModelError:
        # Nothing reaches the output: then the masked network must not depend on its input either.
        two = outputs(hidden, torch.randn(2, *SHAPE))
        assert_close(two[:1], two[1:])
        return
    for batch in (1, 2, 5):
        value = torch.randn(batch, *SHAPE, generator=torch.Generator().manual_seed(batch))
        assert_close(outputs(smaller, value), outputs(hidden, value))
    check_specs(smaller, torch.randn(2, *SHAPE))


@pytest.mark.parametrize("name", NETS)
def test_slicing_shrinks_every_group(name: str) -> None:
    graph, groups = captured(name)
    free = [group for group in groups if group.pinned is None and group.size > 1]
    before = sum(graph.tensors[key].numel() for key in graph.parameters)
    for group in free:
        smaller = slice_graph(graph, {group.name: range(1, group.size)})
        assert sum(smaller.tensors[key].numel() for key in smaller.parameters) < before
        assert {g.name: g.size for g in channel_groups(smaller)} == {
            g.name: g.size - (g.name == group.name) for g in groups
        }


@pytest.mark.parametrize("name", ["shuffle", "flat", "residual"])
def test_static_graphs_are_sliced_too(name: str) -> None:
    value = torch.randn(3, *SHAPE)
    graph = capture(build(name), (value,))
    keep = {g.name: range(0, g.size, 2) for g in channel_groups(graph) if g.pinned is None}
    smaller = slice_graph(graph, keep)
    assert_close(outputs(smaller, value), outputs(masked(graph, keep), value))


def test_keeping_everything_changes_nothing() -> None:
    graph, groups = captured("shuffle")
    same = slice_graph(graph, {group.name: range(group.size) for group in groups})
    assert [node.spec for node in same.nodes] == [node.spec for node in graph.nodes]
    assert all(torch.equal(same.tensors[name], graph.tensors[name]) for name in graph.tensors)


def test_an_empty_branch_vanishes_whole() -> None:
    torch.manual_seed(0)
    block = Block(4)
    block.second = nn.Sequential(nn.Conv2d(7, 4, 3, padding=1, bias=False))
    net = nn.Sequential(conv(3, 4), block, nn.Conv2d(4, 2, 1)).eval()
    graph = capture_batched(net, (torch.zeros(2, *SHAPE),))
    smaller = slice_graph(graph, {"1.first.0": []})
    assert [node.op for node in smaller.nodes].count("conv2d.default") == 2
    assert "add.Tensor" not in {node.op for node in smaller.nodes}
    assert not any(name.startswith("1.") for name in smaller.tensors)
    value = torch.randn(5, *SHAPE)
    assert_close(outputs(smaller, value), outputs(masked(graph, {"1.first.0": []}), value))


def test_a_branch_with_a_norm_leaves_its_bias_to_the_residual() -> None:
    graph, _ = captured("residual")
    keep = {"one.first.0": [], "stem.0": [0, 3, 4], "two.first.0": [2]}
    smaller = slice_graph(graph, keep)
    assert not any(name.startswith("one.first.") for name in smaller.tensors)
    assert [node.op for node in smaller.nodes].count("add.Tensor") == 3
    value = torch.randn(3, *SHAPE)
    assert_close(outputs(smaller, value), outputs(masked(graph, keep), value))


@pytest.mark.parametrize("name", ["multiplier", "inverted"])
def test_a_depthwise_branch_vanishes_inside_its_residual(name: str) -> None:
    graph, _ = captured(name)
    smaller = slice_graph(graph, {"expand.0": []})
    assert [node.op for node in smaller.nodes].count("conv2d.default") == 1
    assert {group.name: group.size for group in channel_groups(smaller)} == {"stem.0": 5, "head": 4}
    value = torch.randn(3, *SHAPE)
    assert_close(outputs(smaller, value), outputs(masked(graph, {"expand.0": []}), value))


@pytest.mark.parametrize("branch", ["one.0", "three.0.0", "three.1.0", "pooled.0"])
def test_a_branch_of_a_concatenation_vanishes(branch: str) -> None:
    graph, _ = captured("inception")
    smaller = slice_graph(graph, {branch: []})
    value = torch.randn(3, *SHAPE)
    assert_close(outputs(smaller, value), outputs(masked(graph, {branch: []}), value))
    assert branch not in {group.name for group in channel_groups(smaller)}


def test_a_depthwise_border_stays_exact_when_its_input_is_constant() -> None:
    """The convolution left with its bias alone feeds a padded depthwise one: not constant over space."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.Conv2d(5, 5, 3, padding=1, groups=5)]
    inner = nn.Sequential(*layers)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.stem, self.last = inner, nn.Conv2d(3, 5, 1), nn.Conv2d(10, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.inner(x)
            return self.last(torch.cat([y, self.stem(x) + y], 1))

    graph = capture_batched(Net().eval(), (torch.zeros(2, *SHAPE),))
    smaller = slice_graph(graph, {"inner.0": []})
    for batch in (1, 2, 5):
        value = torch.randn(batch, *SHAPE)
        assert_close(outputs(smaller, value), outputs(masked(graph, {"inner.0": []}), value))


def test_errors_say_which_group() -> None:
    graph, _ = captured("inverted")
    with pytest.raises(ModelError, match=r"no channel group 'nope'; it has stem\.0, expand\.0, head"):
        slice_graph(graph, {"nope": [0]})
    with pytest.raises(ModelError, match="'head' cannot lose channels: an output of the model"):
        slice_graph(graph, {"head": [0]})
    for kept in ([9], [-1], [1, 1]):
        with pytest.raises(ModelError, match=r"'expand\.0' has the classes 0 to 8"):
            slice_graph(graph, {"expand.0": kept})
    with pytest.raises(ModelError, match="nothing of the input would reach"):
        slice_graph(graph, {"stem.0": []})


def test_masked_channels_are_zero_behind_their_norm() -> None:
    net = Inverted().eval()
    graph = masked(capture_batched(net, (torch.zeros(2, *SHAPE),)), {"expand.0": [0, 2]})
    for name in ("expand.0.weight", "expand.1.weight", "expand.1.bias", "expand.1.running_mean"):
        assert not graph.tensors[name][1].any(), name
    assert graph.tensors["expand.1.running_var"][1] > 0
    assert not graph.tensors["project.0.weight"][:, 1].any()
