"""Heads of attention as channels: they go whole, and what is left computes the same."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.errors import ModelError
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.channels import ChannelGroup, channel_groups
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import masked, slice_graph
from hwaware.graph.widening import widen_graph
from tests.compiler.inprocess import TOLERANCE, Case, errors
from tests.graph.nets.attention import FREE, HEADS, PINNED, SIZE, TOKENS, WIDTH
from tests.graph.test_slicing import assert_close, keeps, outputs


@cache
def captured(name: str) -> tuple[Graph, tuple[ChannelGroup, ...]]:
    """Shared by the tests: do not change it."""
    torch.manual_seed(7)
    graph = capture_batched((FREE.get(name) or PINNED[name])[0]().eval(), (torch.zeros(2, TOKENS, WIDTH),))
    return graph, channel_groups(graph)


def tokens(batch: int) -> torch.Tensor:
    return torch.randn(batch, TOKENS, WIDTH, generator=torch.Generator().manual_seed(batch))


@pytest.mark.parametrize("name", FREE)
def test_heads_and_hidden_channels_are_free(name: str) -> None:
    assert {group.name: group.size for group in captured(name)[1] if group.pinned is None} == FREE[name][1]


@pytest.mark.parametrize("name", PINNED)
def test_what_cannot_be_followed_says_why(name: str) -> None:
    _, group, reason = PINNED[name]
    (found,) = (g for g in captured(name)[1] if g.name == group)
    assert reason in (found.pinned or "")
    assert all(g.pinned for g in captured(name)[1])


def test_a_head_holds_its_rows_of_all_projections_and_its_columns_of_the_output() -> None:
    (heads,) = (group for group in captured("chunked")[1] if group.pinned is None)
    index = {(member.tensor, member.dim): member.index for member in heads.members}
    rows = tuple(part * WIDTH + HEADS - 1 + place for part in range(3) for place in range(SIZE))
    assert index["qkv.weight", 0][1] == index["qkv.bias", 0][1] == rows
    assert index["out.weight", 1][1] == (3, 4, 5)
    assert (heads.producers, heads.consumers) == (("linear",), ("linear_1",))


def test_a_bias_of_each_head_goes_with_it_and_a_mask_for_all_stays() -> None:
    biased = slice_graph(captured("biased")[0], {"q": [0, 3]})
    assert torch.equal(biased.tensors["bias"], captured("biased")[0].tensors["bias"][:, [0, 3]])
    assert slice_graph(captured("masked")[0], {"q": [0, 3]}).tensors["mask"].shape == (TOKENS, TOKENS)


@pytest.mark.parametrize("name", FREE)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(data=st.data())
def test_sliced_equals_masked(name: str, data: st.DataObject) -> None:
    graph, groups = captured(name)
    keep = data.draw(keeps(groups))
    hidden = masked(graph, keep)
    try:
        smaller = slice_graph(graph, keep)
    except ModelError:
        assert not all(keep.values())
        two = outputs(hidden, tokens(2))
        assert_close(two[:1], two[1:])
        return
    for batch in (1, 2, 3):
        assert_close(outputs(smaller, tokens(batch)), outputs(hidden, tokens(batch)))


@pytest.mark.parametrize("name", ["fused", "block", "encoder", "encoder_norm_first"])
def test_attention_without_heads_vanishes_inside_its_residual(name: str) -> None:
    graph, groups = captured(name)
    heads = next(group.name for group in groups if group.size == HEADS and group.pinned is None)
    smaller = slice_graph(graph, {heads: []})
    assert not {node.op.partition(".")[0] for node in smaller.nodes} & {"scaled_dot_product_attention", "matmul"}
    assert heads not in {group.name for group in channel_groups(smaller)}
    assert_close(outputs(smaller, tokens(2)), outputs(masked(graph, {heads: []}), tokens(2)))


@pytest.mark.parametrize("name", FREE)
def test_more_heads_compute_the_same_until_trained(name: str) -> None:
    graph, groups = captured(name)
    widths = {group.name: 2 * group.size + 1 for group in groups if group.pinned is None}
    wider = widen_graph(graph, widths, seed=3)
    assert {g.name: g.size for g in channel_groups(wider) if g.pinned is None} == widths
    assert_close(outputs(wider, tokens(3)), outputs(graph, tokens(3)))


@pytest.mark.parametrize("name", FREE)
def test_other_heads_and_new_ones_together(name: str) -> None:
    graph, groups = captured(name)
    keep = {group.name: list(range(1, group.size)) for group in groups if group.pinned is None}
    widths = {group: len(kept) + 3 for group, kept in keep.items()}
    both = widen_graph(graph, widths, seed=3, keep=keep)
    assert_close(outputs(both, tokens(2)), outputs(slice_graph(graph, keep), tokens(2)))


@pytest.mark.parametrize("name", FREE)
def test_narrower_attention_lowers(name: str) -> None:
    torch.manual_seed(7)
    graph = capture(FREE[name][0]().eval(), (tokens(1),))
    keep = {group.name: range(2) for group in channel_groups(graph) if group.pinned is None and group.size > 2}
    before, after = ({op.name: op.workload for op in lower(g).ops} for g in (graph, slice_graph(graph, keep)))
    products = [name for name, work in before.items() if work.kind == "matmul"]
    assert len(products) == 2
    for product in products:
        heads, wide = after[product].output.shape[0], before[product].output.shape[0]
        assert (heads, wide) == ((2, HEADS) if keep else (HEADS, HEADS))


def test_narrower_attention_compiles_to_what_pytorch_computes() -> None:
    cases = []
    for name in ("fused", "masked", "multihead", "block"):
        graph, groups = captured(name)
        keep = {group.name: range(1, group.size) for group in groups if group.pinned is None}
        cases.append(Case(GraphModel(slice_graph(graph, keep)).eval(), (tokens(2),)))
    assert max(errors(cases)) < TOLERANCE


def test_attention_sliced_to_one_head_is_pinned() -> None:
    (group, *_) = channel_groups(slice_graph(captured("chunked")[0], {"qkv": [2]}))
    assert group.pinned == (
        "scaled_dot_product_attention.default in scaled_dot_product_attention mixes channels: "
        "there are no heads, or only one"
    )
