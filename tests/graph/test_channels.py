"""Groups come out as the networks couple them: no tie too few (see test_slicing), none too many."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.graph.capture import capture_batched
from hwaware.graph.channel_rules import RULES
from hwaware.graph.channels import channel_groups
from hwaware.graph.ir import Graph, Node, Spec
from hwaware.graph.ops import DECODE, KNOWN, LEVELS
from tests.graph.nets import SHAPE, captured, conv

FREE = {
    "chain": {"0.0": 8, "2": 6, "4.0": 5},
    "residual": {"stem.0": 8, "one.first.0": 7, "two.first.0": 7, "down.0": 10},
    "padded_shortcut": {"stem.0": 10},
    "inverted": {"stem.0": 5, "expand.0": 9},
    "multiplier": {"stem.0": 5, "expand.0": 9},
    "dense": {"stem.0": 6, "layers.0.2": 4, "layers.1.2": 4, "layers.2.2": 4, "transition.0": 7},
    "squeeze": {"squeeze.0": 4, "one": 6, "three": 5},
    "fires": {
        "stem.0": 9,
        "squeezes.0.0": 5,
        "ones.0": 6,
        "threes.0": 8,
        "squeezes.1.0": 7,
        "ones.1": 10,
        "threes.1": 10,
    },
    "inception": {
        "stem.0": 7,
        "pooled.0": 9,
        "one.0": 5,
        "three.0.0": 4,
        "three.1.0": 6,
        "five.0.0": 3,
        "five.1.0": 3,
        "down.0": 11,
    },
    "split": {"stem.0": 16, "full.0": 5, "last.0": 6},
    "shuffle": {"left.0": 8, "units.0.branch.0.0": 8, "units.1.branch.0.0": 8},
    "grouped": {"stem.0": 4, "one.0": 2, "two.0": 4, "last.0": 6},
    "unet": {"enc1.0": 5, "enc2.0": 7, "middle.0": 9, "up2": 6, "dec2.0": 8, "dec1.0": 6},
    "flat": {"0.0": 6, "4": 11},
    "unflat": {"1": 6, "4": 5},
    "excited": {"stem.0": 8, "reduce": 3, "last.0": 6},
    "spatial_gate": {"stem.0": 6},
    "one_dimensional": {"1": 6, "5": 5},
    "perceptron": {"1": 20, "3": 12},
    "pixel_shuffled": {"0.0": 3},
    "tokens": {"encoder.self_attn.in_proj_weight": 3, "encoder.linear1": 16},
    "mixed": {"patches": 10, "inner": 14},
}


def graph_of(module: nn.Module) -> Graph:
    return capture_batched(module.eval(), (torch.zeros(2, *SHAPE),))


@pytest.mark.parametrize("name", FREE)
def test_free_groups(name: str) -> None:
    groups = captured(name)[1]
    assert {group.name: group.size for group in groups if group.pinned is None} == FREE[name]


def test_every_known_operator_has_a_rule() -> None:
    """Widths are chosen before layers are quantised."""
    assert RULES.keys() == KNOWN - LEVELS - DECODE


def test_members_units_and_roles() -> None:
    (expand,) = (g for g in captured("multiplier")[1] if g.name == "expand.0")
    index = {(member.tensor, member.dim): member.index for member in expand.members}
    assert index["expand.0.weight", 0][4] == (4,)
    assert index["depthwise.0.weight", 0][4] == (8, 9)
    assert index["project.0.weight", 1][4] == (8, 9)
    assert index["depthwise.1.running_var", 0][4] == (8, 9)
    assert ("depthwise.0.weight", 1) not in index
    assert (len(expand.producers), len(expand.consumers), len(expand.carriers)) == (1, 1, 3)
    flat = captured("flat")[1][0]
    assert {member.unit for member in flat.members if member.tensor == "4.weight"} == {(16,) * 6}


def test_grouped_convolutions_stay_equally_wide() -> None:
    stem, one, *_ = captured("grouped")[1]
    index = {(member.tensor, member.dim): member.index for member in (*stem.members, *one.members)}
    assert index["stem.0.weight", 0][1] == (1, 5, 9)
    assert index["one.0.weight", 1][1] == (1,)
    assert index["one.0.weight", 0][0] == (0, 2, 4, 6, 8, 10, 12, 14, 16)


def test_concatenated_branches_are_slices_of_what_reads_them() -> None:
    columns = {
        (group.name, member.tensor): member.index
        for group in captured("inception")[1]
        for member in group.members
        if member.tensor in {"down.0.weight", "head.weight"} and member.dim == 1
    }
    assert columns["one.0", "down.0.weight"] == ((0,), (1,), (2,), (3,), (4,))
    assert columns["five.1.0", "down.0.weight"] == ((11,), (12,), (13,))
    # Behind the second concatenation everything has moved by the eleven channels before it.
    assert columns["five.1.0", "head.weight"] == ((22,), (23,), (24,))
    assert columns["pooled.0", "head.weight"][-1] == (33,)


def test_shuffled_channels_are_found_where_they_went() -> None:
    layers = [conv(3, 8), nn.ChannelShuffle(2), nn.Conv2d(8, 8, 3, padding=1, groups=8), conv(8, 6)]
    graph = graph_of(nn.Sequential(*layers))
    assert "channel_shuffle.default" in {node.op for node in graph.nodes}
    shuffled = channel_groups(graph)[0]
    index = {(member.tensor, member.dim): member.index for member in shuffled.members}
    assert index["0.0.weight", 0] == ((0, 4), (1, 5), (2, 6), (3, 7))
    assert index["2.weight", 0] == index["3.0.weight", 1] == ((0, 1), (2, 3), (4, 5), (6, 7))


def test_pinned_groups_say_why() -> None:
    reasons = {group.name: group.pinned or "" for group in captured("tokens")[1]}
    assert "layer norm encoder.norm1: over fewer channels it is another function" in reasons["patches"]
    assert reasons["head"] == "an output of the model"
    (gate,) = (g for g in captured("spatial_gate")[1] if g.name == "gate")
    assert "broadcast over channels" in (gate.pinned or "")


def test_added_to_the_input_is_pinned() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.last = conv(3, 3), nn.Conv2d(3, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(x + self.inner(x))

    group = channel_groups(graph_of(Net()))[0]
    assert (group.name, group.size) == ("inner.0", 3)
    assert "tied to an input" in (group.pinned or "")


def test_shared_weights_share_their_channels() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.shared, self.last = nn.Linear(192, 6), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.shared(torch.relu(self.shared(self.first(x.flatten(1))))))

    groups = channel_groups(graph_of(Net()))
    assert [(g.name, g.size, g.pinned) for g in groups[:1]] == [("first", 6, None)]


def test_an_operator_that_cannot_be_followed_is_named() -> None:
    spec = Spec((2, 3), "float32")
    node = Node("odd", "view.default", {"self": None, "size": (2, 3)}, spec, "body.reshape")
    with pytest.raises(ModelError, match=r"view.default in module 'body.reshape'"):
        channel_groups(Graph({"x": spec}, [node], ("odd",), {}))


def test_a_deep_network_at_full_size_is_traced_quickly() -> None:
    widths = [3, *(16, 24, 32, 64, 96, 160) * 3]
    blocks = []
    for before, width in pairwise(widths):
        wide = 6 * width
        blocks += [
            conv(before, width, 1),
            conv(width, wide, 1),
            conv(wide, wide, groups=wide),
            conv(wide, width, 1),
        ]
    net = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(160, 1000)).eval()
    graph = capture_batched(net, (torch.zeros(2, 3, 32, 32),))
    start = time.process_time()
    assert len(channel_groups(graph)) == 55
    assert time.process_time() - start < 5
