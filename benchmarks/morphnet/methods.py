"""The ways to a narrower net that are compared, all from the same trained net and with the same final training.

As in the paper, what it takes to find a structure comes before that.

`table`: MorphNet on measured latency. `flops`: MorphNet on FLOPs, as published. `uniform`: one width multiplier for all
groups, of each group the channels with the largest values. `halp`: the knapsack of saliencies on measured latency.
"""

from __future__ import annotations

from hwaware.compression.budget import Budget
from hwaware.compression.channel_values import channel_values
from hwaware.compression.compress import SHRINK_SHARE, compress
from hwaware.compression.expand import multiplied
from hwaware.compression.prepare import Prepared, Selection, prepare
from hwaware.compression.task import Task, evaluate
from hwaware.compression.ties import untied
from hwaware.compression.train import fit
from hwaware.costs.model import CostModel
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import slice_graph

METHODS = ("table", "flops", "uniform", "halp")
COUNTING = ("flops", "uniform")  # whose budgets are shares of FLOPs


def narrowed(
    method: str, task: Task, source: CostModel, share: float, *, seed: int, epochs: int, lr: float
) -> tuple[GraphModel, float]:
    """The trained net at `share` (0 to 1) of its latency, or of its FLOPs for those that count them; its metric.

    It is trained for `epochs` once its structure is found.
    """
    text = f"{100 * share:g}%"
    if method == "uniform":
        return _uniform(task, source, share, seed=seed, epochs=epochs, lr=lr)
    budget = Budget(flops=text) if method == "flops" else Budget(latency=text)
    name = "halp" if method == "halp" else "morphnet"
    both = round(epochs / (1 - SHRINK_SHARE))
    result = compress(task, source, budget, method=name, seed=seed, epochs=both, lr=lr)
    return result.model, result.metric


def _uniform(
    task: Task, source: CostModel, share: float, *, seed: int, epochs: int, lr: float
) -> tuple[GraphModel, float]:
    """The widest multiplier within `share` of the FLOPs, fine-tuned."""
    whole = GraphModel(capture_batched(task.model, task.example_inputs), task.example_inputs).eval()
    prepared = prepare(whole, source, Selection())
    widths = _widest(prepared, share)
    values = channel_values("auto", whole, prepared.groups).values()
    keep = {name: sorted(value.argsort(descending=True)[: widths[name]].tolist()) for name, value in values.items()}
    model = GraphModel(slice_graph(whole.graph, untied(prepared.groups, keep)), task.example_inputs)
    fit(model, task, epochs=epochs, lr=lr, seed=seed + 1)
    return model, evaluate(task, model)


def _widest(prepared: Prepared, share: float) -> dict[str, int]:
    costs = prepared.costs
    limit = share * costs.cost("flops", costs.full)
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        widths = {name: max(1, width) for name, width in multiplied(costs, costs.full, middle).items()}
        low, high = (middle, high) if costs.cost("flops", widths) <= limit else (low, middle)
    return {name: max(1, width) for name, width in multiplied(costs, costs.full, low).items()}
