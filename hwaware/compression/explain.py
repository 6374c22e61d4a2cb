"""Why a model has the widths it has: what each group and each operation cost before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwaware.compression.plan import GroupPlan, LayerPlan
from hwaware.compression.prepare import Prepared
from hwaware.compression.slopes import next_cheaper, slopes
from hwaware.compression.width_costs import WidthCosts


def explained_groups(
    costs: WidthCosts,
    before: Mapping[str, int],
    after: Mapping[str, int],
    kept: Mapping[str, Sequence[int]],
    widths: Mapping[str, int],
    names: Mapping[str, str],
) -> tuple[GroupPlan, ...]:
    """Each group from `before` to `after`, with what a channel costs at these widths and the next cheaper width.

    `costs` knows the groups as they are called now, at `widths`; `names` are those of the others' by theirs. A group
    it does not know has vanished or has one channel left.
    """
    each = slopes(costs, widths)
    now = {names[name]: name for name in widths}
    groups = []
    for name, size in before.items():
        known = now.get(name)
        cheaper = next_cheaper(costs, known, widths) if known is not None else None
        narrower, saves = cheaper if cheaper is not None else (None, None)
        per_channel = sum(each[known].values()) if known is not None else 0.0
        groups.append(GroupPlan(name, size, after[name], tuple(kept[name]), per_channel, narrower, saves))
    return tuple(groups)


def explained_layers(first: Prepared, costs: WidthCosts, widths: Mapping[str, int]) -> tuple[LayerPlan, ...]:
    """Each operation of `first`, the original, and what it became: `costs` at `widths`.

    Of the groups it depends on the one whose channels it makes is the last.
    """
    whole, outline = first.costs.outline(first.costs.full), costs.outline(widths)
    makers = {node: group.name for group in first.groups for node in (*group.carriers, *group.producers)}
    after = {op.op.name: op for op in outline.ops}
    each = slopes(costs, widths)
    layers = []
    for op in whole.ops:
        name, now = op.op.name, after.get(op.op.name)
        groups = sorted((group for group in op.units if group in widths), key=lambda group: group == makers.get(name))
        layers.append(
            LayerPlan(
                name,
                op.op.path,
                first.costs.op_latency(whole, op, first.costs.full),
                0.0 if now is None else costs.op_latency(outline, now, widths),
                tuple(groups),
                tuple(each[group].get(name, 0.0) for group in groups),
            )
        )
    return tuple(layers)
