from __future__ import annotations

import pytest
import torch

from hwaware.compression.channel_values import channel_values, shrinkable
from hwaware.compression.ties import exclude, tie, untied
from hwaware.compression.width_costs import WidthCosts
from hwaware.errors import ModelError
from hwaware.graph.channels import channel_groups
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import masked, slice_graph
from tests.compression.morphnets import EXAMPLE, TARGET, Chain, Residual, captured
from tests.compression.tables import Formula, staircase


def test_excluded_layers_keep_their_width() -> None:
    graph = captured(Residual)
    free, fixed = shrinkable(graph, exclude(graph, channel_groups(graph), ["first*"]))
    assert [group.name for group in free] == ["stem.0"]
    assert fixed["first.0"] == "excluded by the pattern first*"


def test_a_pattern_finds_any_layer_of_a_group() -> None:
    """The stream is named after the stem; the second block writes to it as well."""
    graph = captured(Residual)
    _, fixed = shrinkable(graph, exclude(graph, channel_groups(graph), ["second.*"]))
    assert "stem.0" in fixed


def test_tied_layers_are_one_group_that_costs_what_both_do() -> None:
    class Even(Chain):
        def __init__(self) -> None:
            super().__init__()
            self[2] = torch.nn.Sequential(torch.nn.Conv2d(16, 16, 3, padding=1), torch.nn.BatchNorm2d(16))
            self[6] = torch.nn.Linear(16, 4)

    graph = captured(Even)
    groups = tie(graph, channel_groups(graph), ["[02].0"])
    free, _ = shrinkable(graph, groups)
    assert [group.name for group in free] == ["0.0"]
    static = GraphModel(graph).graph_for(EXAMPLE)
    alone = WidthCosts(static, shrinkable(graph, channel_groups(graph))[0], Formula(staircase), TARGET)
    tied = WidthCosts(static, free, Formula(staircase), TARGET)
    for width in (16, 9, 4, 2):
        for cost in ("latency", "memory", "size", "flops"):
            assert tied.cost(cost, {"0.0": width}) == alone.cost(cost, {"0.0": width, "2.0": width})
    values = channel_values("auto", GraphModel(graph), free).values()["0.0"]
    expected = torch.stack([graph.tensors[name].abs() for name in ("0.1.weight", "2.1.weight")]).amax(0)
    torch.testing.assert_close(values.detach(), expected)
    keep = untied(free, {"0.0": [1, 2, 5, 7]})
    assert keep == {"0.0": [1, 2, 5, 7], "2.0": [1, 2, 5, 7]}
    x = torch.randn(2, *EXAMPLE[0].shape[1:])
    with torch.no_grad():
        small, whole = (GraphModel(part).eval()(x) for part in (slice_graph(graph, keep), masked(graph, keep)))
    torch.testing.assert_close(small, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pattern", ["nothing*", "", "stem"])
def test_a_pattern_that_matches_nothing_is_an_error(pattern: str) -> None:
    graph = captured(Residual)
    for change in (exclude, tie):
        with pytest.raises(ModelError, match="matches no layer") as caught:
            change(graph, channel_groups(graph), [pattern])
        assert "stem.0" in str(caught.value)


def test_ties_need_two_layers_of_one_width() -> None:
    graph = captured(Residual)
    with pytest.raises(ModelError, match=r"ties first\.0 to nothing"):
        tie(graph, channel_groups(graph), ["first.0"])
    with pytest.raises(ModelError, match=r"different width: stem.0 \(16\), first.0 \(8\)"):
        tie(graph, channel_groups(graph), ["*.0"])


def test_one_excluded_layer_excludes_those_it_is_tied_to() -> None:
    graph = captured(Chain)
    groups = exclude(graph, channel_groups(graph), ["0.0"])
    assert next(group for group in groups if group.name == "0.0").pinned is not None
