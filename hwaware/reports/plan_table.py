"""Why each layer has the width it has, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from hwaware.compression.plan import GroupPlan, Plan

HEAD = ("layer", "channels", "µs", "saved", "µs a channel", "next cheaper")


def layer_table(plan: Plan) -> list[str]:
    """Lines: each group of channels with what its layers cost before and after, and the next step down.

    An operation between two groups counts for the one it is named after: its output's, which is the last it depends on.
    """
    if not plan.groups:
        return []
    spent = _spent(plan)
    rows = [HEAD, *(_row(group, *spent.get(group.name, (0.0, 0.0))) for group in plan.groups)]
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of text, the first and the last to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if at in (0, len(widths) - 1) else text.rjust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _spent(plan: Plan) -> dict[str, tuple[float, float]]:
    """Milliseconds before and after of the operations whose output has a group's channels."""
    total: dict[str, tuple[float, float]] = {}
    for layer in plan.layers:
        if layer.groups:
            before, after = total.get(layer.groups[-1], (0.0, 0.0))
            total[layer.groups[-1]] = before + layer.before_ms, after + layer.after_ms
    return total


def _row(group: GroupPlan, before: float, after: float) -> tuple[str, ...]:
    cheaper = "" if group.next_width is None else f"{group.next_width} saves {1e3 * (group.next_saves_ms or 0):.3g} µs"
    return (
        group.name,
        f"{group.before} → {group.after}",
        f"{1e3 * before:.3g} → {1e3 * after:.3g}",
        f"{(before - after) / before:.0%}" if before else "",
        f"{1e3 * group.per_channel_ms:.3g}",
        cheaper,
    )
