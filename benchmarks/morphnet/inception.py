"""Inception-V2 at 224×224 the whole way, with random images.

Shrink, slice, compile, measure: a large net with concatenations, whole branches of which may vanish. The bars: outputs
of the sliced net equal the masked net's to 1e-5 of their size, and it is as fast as predicted, within 10 %.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import nn

from benchmarks.morphnet.clock import measured
from benchmarks.morphnet.sweep import program_of
from benchmarks.morphnet.tables import task_table
from hwaware.compression.budget import Budget
from hwaware.compression.compress import compress
from hwaware.compression.task import Task
from hwaware.costs.model import CostModel
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import masked, slice_graph
from hwaware.zoo.batches import Batches
from hwaware.zoo.registry import build
from hwaware.zoo.tasks import accuracy

IMAGES, BATCH, CLASSES = 32, 4, 1000
SHARE, _EPOCHS, _RATE = 0.6, 4, 0.005
_PROFILE_S = 900.0


def inception_task() -> Task:
    """The net on noise: what it learns does not matter, what becomes of its structure does."""
    model, inputs = build("inception_v2")
    random = torch.Generator().manual_seed(0)
    x = torch.randn(IMAGES, 3, 224, 224, generator=random)
    y = torch.randint(0, CLASSES, (IMAGES,), generator=random)
    return Task(
        model=model,
        example_inputs=inputs,
        train_data=Batches(x, y, BATCH, seed=0),
        eval_data=Batches(x[:BATCH], y[:BATCH], BATCH),
        loss=nn.functional.cross_entropy,
        metric=accuracy,
        name="inception_v2",
    )


def inception(out: Path) -> str:
    """Run, and say how fast it came out. Raises HwawareError."""
    torch.set_num_threads(2)
    task = inception_task()
    table = task_table(task, "inception_v2", out / "tables" / "inception_v2", _PROFILE_S)
    result = compress(
        task,
        CostModel(table, beyond=False),
        Budget(latency=f"{100 * SHARE:g}%"),
        method="morphnet",
        epochs=_EPOCHS,
        lr=_RATE,
        on_progress=lambda phase, done, total, what: print(f"{phase} {done}/{total}: {what}", file=sys.stderr),
    )
    difference = _difference(result.baseline, {group.name: group.kept for group in result.plan.groups})
    torch.set_num_threads(1)
    times, base = measured(
        {"small": program_of(result.model)},
        program_of(result.baseline),
        table,
        lambda what: print(what, file=sys.stderr, flush=True),
    )
    said = result.cost.latency_ms / result.baseline_cost.latency_ms
    got = times["small"] / base
    document = {
        "whole_ms": base,
        "predicted_whole_ms": result.baseline_cost.latency_ms,
        "small_ms": times["small"],
        "predicted_small_ms": result.cost.latency_ms,
        "difference": difference,
        "vanished": [group.name for group in result.plan.groups if group.after == 0],
    }
    (out / "inception.json").write_text(json.dumps(document, indent=1))
    return (
        f"Inception-V2: {base:.2f} ms → {times['small']:.2f} ms, {1 / got:.2f}× faster, predicted {1 / said:.2f}× "
        f"({said / got - 1:+.1%}); sliced against masked {difference:.1e}; groups gone: {len(document['vanished'])}"  # type: ignore[arg-type]
    )


def _difference(model: GraphModel, kept: dict[str, tuple[int, ...]]) -> float:
    """The largest difference of the sliced from the masked net's outputs, relative to the largest output."""
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        small, whole = (GraphModel(cut(model.graph, kept)).eval()(x) for cut in (slice_graph, masked))
    return float((small - whole).abs().max() / whole.abs().max())
