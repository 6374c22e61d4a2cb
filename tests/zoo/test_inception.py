"""Inception-V2 is the published net, and its branches can be narrowed or left out one by one."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from hwaware.graph.arguments import ref
from hwaware.graph.arithmetic import multiply_adds
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.channels import ChannelGroup, channel_groups
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.graph.slicing import masked, slice_graph
from hwaware.zoo import build
from hwaware.zoo.inception import Inception
from tests.graph.test_slicing import assert_close, outputs

SHAPE = (3, 64, 64)


@cache
def small() -> tuple[Graph, tuple[ChannelGroup, ...]]:
    """The net for few pixels and classes with norms that are not the identity, and its groups; do not change it."""
    module, inputs = build("inception_v2", SHAPE, 5)
    torch.manual_seed(1)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor, low in ((layer.weight, 0.7), (layer.bias, -0.5), (layer.running_var, 0.7)):
                assert tensor is not None
                tensor.data.uniform_(low, low + 0.6)
    graph = capture_batched(module, inputs)
    return graph, channel_groups(graph)


def test_is_the_published_net() -> None:
    module, inputs = build("inception_v2")
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    parameters = sum(p.numel() for p in module.parameters())
    # The port of the network that is commonly used has biases in front of its norms as well.
    assert parameters + sum(layer.out_channels for layer in convolutions) == 11_295_240
    modules = [layer for layer in module.modules() if isinstance(layer, Inception)]
    assert [m.outputs for m in modules] == [256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024]
    assert module.stages(module.stem(inputs[0])).shape == (1, 1024, 7, 7)
    work = sum(multiply_adds(op.workload) for op in lower(capture(module, inputs)).ops)
    assert 1.9e9 < work < 2.1e9


def test_every_convolution_has_channels_of_its_own_that_can_go() -> None:
    graph, groups = small()
    free = {group.name: group.size for group in groups if group.pinned is None}
    convolutions = {ref(node, "weight"): node for node in graph.nodes if node.op == "conv2d.default"}
    assert free == {name.removesuffix(".weight"): node.spec.shape[1] for name, node in convolutions.items()}
    assert [group.name for group in groups if group.pinned] == ["fc"]
    joined = {group.name for group in groups if "stages.inception_4b.branches.three.0.0.weight" in tensors(group)}
    branches = ("one.0", "three.1.0", "double3.2.0", "pooled.1.0")
    assert joined == {
        "stages.inception_4b.branches.three.0.0",
        *(f"stages.inception_4a.branches.{branch}" for branch in branches),
    }


def tensors(group: ChannelGroup) -> set[str]:
    return {member.tensor for member in group.members}


@pytest.mark.parametrize("seed", range(4))
def test_sliced_equals_masked_also_without_whole_branches(seed: int) -> None:
    graph, groups = small()
    generator = torch.Generator().manual_seed(seed)
    keep = {}
    for group in groups:
        if group.pinned is None:
            share = float(torch.rand(1, generator=generator))
            kept = torch.rand(group.size, generator=generator) < max(0.3, share)
            keep[group.name] = kept.nonzero().flatten().tolist()
    keep |= {
        "stages.inception_3a.branches.one.0": [],
        "stages.inception_3c.branches.double3.0.0": [],
        "stages.inception_4d.branches.pooled.1.0": [],
        "stages.inception_5a.branches.three.1.0": [],
    }
    smaller, hidden = slice_graph(graph, keep), masked(graph, keep)
    value = torch.randn(3, *SHAPE, generator=generator)
    assert_close(outputs(smaller, value), outputs(hidden, value))
    lower(smaller)
