"""Other widths: what was there keeps its weights, what is new changes nothing until it is trained."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.errors import ModelError
from hwaware.graph.channels import channel_groups
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import slice_graph
from hwaware.graph.widening import widen_graph
from tests.graph.nets import NETS, SHAPE, captured
from tests.graph.test_slicing import assert_close, check_specs, outputs


@pytest.mark.parametrize("name", NETS)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(data=st.data())
def test_growing_has_the_widths_and_preserves_the_function(name: str, data: st.DataObject) -> None:
    graph, groups = captured(name)
    widths = {
        group.name: data.draw(st.integers(group.size, 2 * group.size + 2)) for group in groups if group.pinned is None
    }
    wider = widen_graph(graph, widths, seed=1)
    assert {g.name: g.size for g in channel_groups(wider) if g.pinned is None} == widths
    value = torch.randn(3, *SHAPE)
    assert_close(outputs(wider, value), outputs(graph, value))
    check_specs(wider, torch.randn(2, *SHAPE))


# Of "split", one channel may be all that is left to a depthwise convolution, which then is a plain one of its own.
@pytest.mark.parametrize("name", sorted(set(NETS) - {"shuffle", "padded_shortcut", "split"}))
@settings(max_examples=5, deadline=None, derandomize=True)
@given(data=st.data())
def test_survivors_and_new_channels_together(name: str, data: st.DataObject) -> None:
    graph, groups = captured(name)
    keep, widths = {}, {}
    # With one channel a group a grouped convolution is a depthwise one, and a depthwise one with a single
    # channel a plain one: their channels are no longer coupled. A single head is pinned.
    least = 2 if name in {"grouped", "inverted", "multiplier", "tokens"} else 1
    for group in groups:
        if group.pinned is None:
            kept = data.draw(st.sets(st.integers(0, group.size - 1), min_size=least))
            keep[group.name] = sorted(kept)
            widths[group.name] = len(kept) + data.draw(st.integers(0, 5))
    both = widen_graph(graph, widths, seed=2, keep=keep)
    assert {g.name: g.size for g in channel_groups(both) if g.pinned is None} == widths
    value = torch.randn(3, *SHAPE)
    assert_close(outputs(both, value), outputs(slice_graph(graph, keep), value))


def test_new_channels_can_learn() -> None:
    graph, _ = captured("inverted")
    wider = GraphModel(widen_graph(graph, {"expand.0": 14}, seed=3)).train()
    before = wider.graph.tensors["project.0.weight"].clone()
    new = ~before.any(dim=0).flatten()
    assert int(new.sum()) == 5
    wider(torch.randn(4, *SHAPE)).square().sum().backward()
    gradient = wider.get_parameter("project.0.weight").grad
    assert gradient is not None
    assert bool((gradient[:, new].abs().sum((0, 2, 3)) > 0).all())


def test_the_first_of_keep_are_the_ones_that_stay() -> None:
    graph, _ = captured("chain")
    smaller = widen_graph(graph, {"0.0": 2}, seed=0, keep={"0.0": [6, 1, 3]})
    assert torch.equal(smaller.tensors["0.0.weight"], graph.tensors["0.0.weight"][[1, 6]])


def test_the_seed_decides_the_new_weights() -> None:
    graph, _ = captured("chain")
    one, again, other = (widen_graph(graph, {"0.0": 12}, seed=s).tensors["0.0.weight"] for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_errors() -> None:
    graph, _ = captured("chain")
    with pytest.raises(ModelError, match="no channel group 'x'"):
        widen_graph(graph, {"x": 3}, seed=0)
    with pytest.raises(ModelError, match="'7' cannot change its width: an output"):
        widen_graph(graph, {"7": 5}, seed=0)
    with pytest.raises(ModelError, match="has the classes 0 to 7"):
        widen_graph(graph, {"0.0": -1}, seed=0)
    single = slice_graph(graph, {"0.0": [3]})
    with pytest.raises(ModelError, match="widen the model it was cut from"):
        widen_graph(single, {"0.0": 4}, seed=0)
