"""Small nets with BatchNorm, and what compression makes of them before it trains."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwaware.compiler.targets import base_target
from hwaware.compression.channel_values import AUTO, ChannelValues, channel_values, shrinkable
from hwaware.compression.gamma import Sources, scale_sources
from hwaware.compression.width_costs import CostSource, WidthCosts
from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import channel_groups
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

TARGET = base_target("x86_64-avx2")


def conv(inside: int, outside: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, padding=size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
    )


class Chain(nn.Sequential):
    """Two plain convolutions."""

    def __init__(self) -> None:
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4))
        super().__init__(conv(3, 16), nn.ReLU(), conv(16, 12), nn.ReLU(), *head)


class Residual(nn.Module):
    """A stem, two blocks on one stream: the second is a single convolution from the stream into itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second = conv(3, 16), conv(16, 8), conv(8, 16)
        self.itself = conv(16, 16)
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(x + self.second(F.relu(self.first(x))))
        x = F.relu(x + self.itself(x))
        out: Tensor = self.fc(x.mean((2, 3)))
        return out


class Concat(nn.Module):
    """Two branches side by side, normalised together, one of them pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 12, 1)
        self.norm, self.last, self.fc = nn.BatchNorm2d(20), conv(20, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.left(x), self.right(x)], 1)
        x = F.max_pool2d(F.relu(self.norm(x)), 2)
        out: Tensor = self.fc(F.relu(self.last(x)).mean((2, 3)))
        return out


class Depthwise(nn.Module):
    """A depthwise convolution with two filters a channel, flattened into the dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.depth, self.point = conv(3, 8), conv(8, 16, groups=8), conv(16, 8, 1)
        self.fc = nn.Linear(8 * 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.depth(F.relu(self.first(x))))
        out: Tensor = self.fc(F.adaptive_avg_pool2d(F.relu(self.point(x)), 2).flatten(1))
        return out


NETS = (Chain, Residual, Concat, Depthwise)
EXAMPLE = (torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)


@dataclass
class Prepared:
    """A captured net and its groups that MorphNet can shrink."""

    graph: Graph  # batched
    static: Graph
    model: GraphModel
    channels: ChannelValues
    sources: Sources
    fixed: dict[str, str]
    costs: WidthCosts


def prepare(net: type[nn.Module], source: CostSource, kind: str = AUTO) -> Prepared:
    """`net` captured; every BatchNorm has scales, shifts and statistics of its own."""
    graph = captured(net)
    model = GraphModel(graph, EXAMPLE).eval()
    static = model.graph_for(EXAMPLE)
    groups, fixed = shrinkable(graph, channel_groups(graph), kind)
    channels = channel_values(kind, model, groups)
    costs = shared_costs(net, source, kind) if isinstance(source, Hashable) else width_costs(net, source, kind)
    return Prepared(graph, static, model, channels, scale_sources(graph, groups), fixed, costs)


@functools.cache
def shared_costs(net: type[nn.Module], source: CostSource, kind: str) -> WidthCosts:
    """`width_costs` for all that ask for the same: what they know already stays known."""
    return width_costs(net, source, kind)


def width_costs(net: type[nn.Module], source: CostSource, kind: str) -> WidthCosts:
    """What the groups of `net` cost at any widths."""
    graph = captured(net)
    groups, _ = shrinkable(graph, channel_groups(graph), kind)
    return WidthCosts(GraphModel(graph, EXAMPLE).eval().graph_for(EXAMPLE), groups, source, TARGET)


@functools.cache
def captured(net: type[nn.Module]) -> Graph:
    """The graph for any batch size; nobody may change its tensors."""
    return capture_batched(randomised(net()), EXAMPLE)


def randomised(net: nn.Module, seed: int = 0) -> nn.Module:
    """`net` with seeded weights, BatchNorms that are not the identity, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data = 0.3 * torch.randn(layer.weight.shape, generator=generator)
        if isinstance(layer, nn.BatchNorm2d):
            for tensor, low in ((layer.weight.data, 0.5), (layer.bias.data, -0.5), (layer.running_var, 0.5)):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + low)
    return net.eval()
