"""The pendulum's net, shrunk until its test error would grow.

A bar of the benchmark: at most a quarter of the latency or size, with a test error within 2 % of the seed net's. Both
nets have the same training: the seed net goes on learning as long as the other is compressed.
"""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.morphnet.clock import measured
from benchmarks.morphnet.pendulum import pendulum_task
from benchmarks.morphnet.sweep import program_of
from benchmarks.morphnet.tables import task_table
from hwaware.compression.budget import Budget
from hwaware.compression.compress import compress
from hwaware.compression.task import evaluate
from hwaware.compression.train import fit
from hwaware.costs.model import CostModel
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel

SHARES = (0.35, 0.22, 0.16, 0.12)
_EPOCHS, _RATE = 60, 0.1


def regression(out: Path) -> str:
    """Run, and say what became of each budget. Raises HwawareError."""
    task = pendulum_task()
    fit(task.model, task, epochs=_EPOCHS, lr=_RATE, weight_decay=0.0)
    table = task_table(task, "pendulum", out / "tables" / "pendulum")
    source = CostModel(table, beyond=False)
    longer = copy.deepcopy(task.model)
    fit(longer, task, epochs=_EPOCHS, lr=_RATE / 2, weight_decay=0.0, seed=1)
    whole = GraphModel(capture_batched(longer, task.example_inputs), task.example_inputs).eval()
    error = -evaluate(task, whole)
    models, rows = {}, []
    for share in SHARES:
        result = compress(
            replace(task), source, Budget(latency=f"{100 * share:g}%"), method="morphnet", epochs=_EPOCHS, lr=_RATE / 2
        )
        models[f"share-{round(1000 * share)}"] = result.model
        rows.append(
            {"asked": share, "error": -result.metric / error, "size": result.plan.after.size / result.plan.before.size}
        )
    times, base = measured(
        {name: program_of(model) for name, model in models.items()},
        program_of(whole),
        table,
        lambda what: print(what, file=sys.stderr, flush=True),
    )
    for row, name in zip(rows, models, strict=True):
        row["measured"] = times[name] / base
    (out / "regression.json").write_text(json.dumps({"whole_ms": base, "error": error, "nets": rows}, indent=1))
    lines = [f"regression: seed net {1e3 * base:.2f} µs, mean squared error {error:.3g}"]
    lines += [
        f"asked {row['asked']:.0%}: measured {row['measured']:.1%} ({1 / row['measured']:.1f}× faster), "
        f"size {row['size']:.1%} ({1 / row['size']:.1f}× smaller), test error {row['error']:.2f} of the seed net's"
        for row in rows
    ]
    return "\n".join(lines)
