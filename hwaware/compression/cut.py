"""From a shrunk model to a smaller one: final widths, physical slicing, and the plan that says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

import torch

from hwaware.compression.expand import expand, fill
from hwaware.compression.gamma import Sources
from hwaware.compression.plan import GroupPlan, LayerPlan, Plan
from hwaware.compression.shrink import Shrinker
from hwaware.compression.width_costs import WidthCosts
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import slice_graph


def cut(model: GraphModel, baseline: GraphModel, shrinker: Shrinker, plan: Plan) -> tuple[GraphModel, Plan]:
    """The shrunk `model` at the widest widths within the limits, and `plan` with what was decided.

    Channels that died and are wanted after all start from the scales they had in `baseline`.
    """
    costs, limits = shrinker.costs, shrinker.limits
    survivors = shrinker.finish()
    if not costs.meets(survivors, limits):
        survivors = costs.least()
    importance = shrinker.importance()
    omega, widths = expand(costs, survivors, limits)
    ranked = {name: torch.sort(values, descending=True).values.tolist() for name, values in importance.items()}
    widths = fill(costs, widths, limits, ranked)
    kept = {
        name: sorted(torch.argsort(values, descending=True, stable=True)[: widths[name]].tolist())
        for name, values in importance.items()
    }
    revived = {name: [index for index in indices if not shrinker.alive[name][index]] for name, indices in kept.items()}
    graph = _with_scales_of(baseline, model.graph, shrinker.sources, revived)
    smaller = GraphModel(slice_graph(graph, kept), model.example_inputs).eval()
    slopes = costs.slopes(widths)
    groups = []
    for name, size in costs.full.items():
        cheaper = costs.next_cheaper(name, widths)
        narrower, saves = cheaper if cheaper is not None else (None, None)
        groups.append(
            GroupPlan(name, size, widths[name], tuple(kept[name]), sum(slopes[name].values()), narrower, saves)
        )
    return smaller, replace(
        plan,
        groups=tuple(groups),
        layers=_layers(costs, widths),
        omega=omega,
        strength=shrinker.strength,
        history=tuple(asdict(tick) for tick in shrinker.history),
    )


def _with_scales_of(baseline: GraphModel, graph: Graph, sources: Sources, revived: Mapping[str, list[int]]) -> Graph:
    """`graph` with γ and β of the `revived` channels as they were before: behind a ReLU zeros would stay zero."""
    tensors, original = dict(graph.tensors), baseline.graph.tensors
    for name, found in sources.items():
        for source in found:
            chosen = torch.isin(source.classes, torch.tensor(revived[name], dtype=torch.int64))
            positions = source.positions[chosen]
            for tensor in filter(None, (source.weight, source.bias)):
                tensors[tensor] = tensors[tensor].clone()
                tensors[tensor][positions] = original[tensor][positions]
    return replace(graph, tensors=tensors)


def _layers(costs: WidthCosts, widths: Mapping[str, int]) -> tuple[LayerPlan, ...]:
    whole, outline = costs.outline(costs.full), costs.outline(widths)
    after = {op.op.name: costs.op_latency(outline, op, widths) for op in outline.ops}
    return tuple(
        LayerPlan(op.op.name, op.op.path, costs.op_latency(whole, op, costs.full), after.get(op.op.name, 0.0))
        for op in whole.ops
    )
