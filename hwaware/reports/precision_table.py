"""Why each layer has the precision it has, for a terminal: what the others would have cost and lost."""

from __future__ import annotations

from collections.abc import Iterator

from hwaware.compression.plan import Plan
from hwaware.compression.plan_parts import PrecisionPlan
from hwaware.reports.plan_table import aligned

HEAD = ("layer", "precision", "µs", "loss", "instead")


def precision_lines(plan: Plan) -> list[str]:
    """Lines: each layer's precision and the others, the finalists, and what more budget would change."""
    return [*_layers(plan), *_finalists(plan), *_more(plan)]


def _layers(plan: Plan) -> Iterator[str]:
    if not any(len(layer.own_ms) > 1 for layer in plan.precisions):
        return
    if plan.recovery:
        yield f"  quantised by {plan.recovery}"
    yield from aligned([HEAD, *(_row(layer) for layer in plan.precisions)])


def _row(layer: PrecisionPlan) -> tuple[str, ...]:
    others = [
        f"{name} {1e3 * change:+.3g} µs, loss {layer.loss.get(name, 0.0) - layer.loss.get(layer.precision, 0.0):+.2g}"
        for name, change in layer.change_ms.items()
        if name != layer.precision
    ]
    own, loss = layer.own_ms.get(layer.precision, 0.0), layer.loss.get(layer.precision, 0.0)
    return layer.path or layer.name, layer.precision, f"{1e3 * own:.3g}", f"{loss:+.2g}", "; ".join(others)


def _finalists(plan: Plan) -> Iterator[str]:
    for each in plan.finalists:
        measured = "" if each.measured_ms is None else f", measured {1e3 * each.measured_ms:.4g} µs"
        sign = "chosen" if each.chosen else "      "
        predicted = f"predicted {1e3 * each.predicted_ms:.4g} µs"
        yield f"  {sign} {each.name}: {predicted}{measured}, training loss {each.loss:.4f}"


def _more(plan: Plan) -> Iterator[str]:
    if plan.with_more:
        yield "  a tenth more of the budget would change"
        for what, before, after in plan.with_more:
            yield f"    {what}: {before} → {after}"
