"""A graph made ready for pruning: its free channel groups and what it costs at any of their widths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwaware.compiler.targets import restored_target
from hwaware.compression.channel_values import AUTO, shrinkable
from hwaware.compression.ties import exclude, tie
from hwaware.compression.width_costs import WidthCosts
from hwaware.costs.model import CostModel
from hwaware.graph.channels import ChannelGroup, channel_groups
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel


@dataclass(frozen=True)
class Selection:
    """Which channels may go: the kind of channel values, layers that keep their width, layers that change alike."""

    values: str = AUTO
    exclude: tuple[str, ...] = ()
    tie: tuple[str, ...] = ()
    grow: float = 1.0  # times its channels a group may have afterwards, as far as the table reaches


@dataclass(frozen=True)
class Prepared:
    """`graph` (any batch size), the groups that may change, the reasons why others may not, and the costs."""

    graph: Graph
    groups: tuple[ChannelGroup, ...]
    fixed: Mapping[str, str]
    costs: WidthCosts


def prepare(
    model: GraphModel, source: CostModel, selection: Selection, full: Mapping[str, int] | None = None
) -> Prepared:
    """`model` made ready. `full` are the widths that groups had originally, where `grow` is of those.

    Raises ModelError where nothing can shrink or a pattern matches nothing, MissingCostError where the table does
    not know the model.
    """
    graph = model.graph
    groups = tie(graph, exclude(graph, channel_groups(graph), selection.exclude), selection.tie)
    free, fixed = shrinkable(graph, groups, selection.values)
    static = model.graph_for(model.example_inputs)
    target = restored_target(source.table.manifest.target)
    most = {group.name: int(selection.grow * (full or {}).get(group.name, group.size)) for group in free}
    return Prepared(graph, free, fixed, WidthCosts(static, free, source, target, source.table.choices, most))
