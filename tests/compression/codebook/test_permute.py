"""Reordered channels: the network computes what it did, the determinant falls, the code gets better."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwaware.compression.codebook.coded import Form, blocks_of
from hwaware.compression.codebook.layers import found
from hwaware.compression.codebook.lloyd import lloyd
from hwaware.compression.codebook.permute import permuted, reordered
from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import channel_groups
from hwaware.graph.ir import Graph
from tests.compression.codebook.nets import images, net, run
from tests.graph.nets import captured


def two_layers() -> Graph:
    """Input channels of the second layer in two kinds, large and small, in a random order."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 32, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 64, 1), nn.ReLU())
    with torch.no_grad():
        scale = torch.tensor([0.05, 2.0]).repeat(16)[torch.randperm(32)]
        module.get_parameter("3.weight").mul_(scale.reshape(1, -1, 1, 1))
        module.get_buffer("1.running_mean").normal_()
    return capture_batched(module.eval(), (torch.zeros(2, 3, 4, 4),))


def covariance(graph: Graph, weight: str, d: int) -> float:
    blocks = blocks_of(graph.tensors[weight], d).numpy()
    return float(np.linalg.slogdet(np.cov(blocks.T))[1])


def test_the_determinant_falls_and_so_does_the_error_of_the_code() -> None:
    graph = two_layers()
    found = permuted(graph, {"conv2d_1": Form(4, 32)})
    assert covariance(found.graph, "3.weight", 4) < covariance(graph, "3.weight", 4) - 1
    x = torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(run(found.graph, x), run(graph, x), rtol=1e-4, atol=1e-5)
    ours, before = (
        min(lloyd(blocks_of(g.tensors["3.weight"], 4), torch.eye(4), 32, seed=seed).objectives[-1] for seed in range(3))
        for g in (found.graph, graph)
    )
    assert ours < 0.9 * before
    gain = 64 * 8 * (covariance(graph, "3.weight", 4) - covariance(found.graph, "3.weight", 4))
    assert next(iter(found.gains.values())) == pytest.approx(gain, rel=0.01)


def test_swaps_go_below_what_dealing_reaches() -> None:
    graph = two_layers()
    few, many = (permuted(graph, {"conv2d_1": Form(4, 32)}, swaps=swaps).gains for swaps in (0, 300))
    assert sum(many.values()) > sum(few.values()) > 0


@pytest.mark.parametrize("name", ["split", "shuffle", "flat", "tokens"])
def test_every_net_computes_what_it_did(name: str) -> None:
    graph = captured(name)[0]
    forms = {}
    for layer in found(graph, first=True).layers:
        d = layer.kernel * 2
        if layer.row % d == 0:
            forms[layer.name] = Form(d, 2)
    result = permuted(graph, forms, swaps=20)
    x = images(3)
    torch.testing.assert_close(run(result.graph, x), run(graph, x), rtol=1e-3, atol=1e-4)


def test_a_residual_network_is_reordered_as_a_whole() -> None:
    graph = net()
    forms = {"conv2d_1": Form(18, 8), "conv2d_2": Form(18, 8), "conv2d_3": Form(4, 8), "linear_1": Form(4, 8)}
    result = permuted(graph, forms, swaps=50)
    # The block's sum (read by two of them), the inside of the block, and the dense layer's outputs.
    assert len(result.gains) == 3
    assert all(gain > 0 for gain in result.gains.values())
    torch.testing.assert_close(run(result.graph, images(5)), run(graph, images(5)), rtol=1e-4, atol=1e-4)
    assert "no coded layer gains from its order" in result.left.values()


def test_an_order_moves_every_tensor_of_the_group() -> None:
    graph = net()
    group = next(group for group in channel_groups(graph) if group.name == "conv1")
    order = np.roll(np.arange(group.size), 3)
    after = reordered(graph, group, order)
    roll = torch.from_numpy(order)
    assert torch.equal(after.tensors["conv1.weight"], graph.tensors["conv1.weight"][roll])
    assert torch.equal(after.tensors["conv2.weight"], graph.tensors["conv2.weight"][:, roll])
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert torch.equal(after.tensors[f"bn1.{name}"], graph.tensors[f"bn1.{name}"][roll])


def test_blocks_within_a_channel_gain_nothing() -> None:
    graph = net()
    result = permuted(graph, {"conv2d_2": Form(9, 8)})
    assert result.graph is graph
    assert not result.gains
