"""Random nets and budgets: is a plan ever slower than the net that went in?

Each net has a short table of its own with integers, is compressed with its finalists measured, and then measured in
turn with what went in. The bar: no 95 % interval of the ratio lies above 1. Of 50 such intervals of two equal models
one or two lie on that side by chance; those are measured once more, longer, and both figures are told.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import hwaware
from benchmarks.ours import Ours
from benchmarks.precision.draw import drawn, kind_of
from benchmarks.precision.fastest import counts
from benchmarks.precision.tables import table_of
from benchmarks.precision.turns import Effort, in_turn
from hwaware.api import measuring
from hwaware.compression.budget import Budget
from hwaware.compression.compress import JOINT, PRECISION, Result, compress
from hwaware.costs.model import CostModel
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device, open_device
from hwaware.errors import BudgetError
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel
from hwaware.statistics import Ratio, median_ratio

# Budgets of latency, from and to: precisions alone reach less far.
BUDGETS = {PRECISION: (0.7, 0.99), JOINT: (0.4, 0.95)}
_EPOCHS, _RATE, _LONGER = 2, 0.01, 3
_PLAN, _FLOAT = "plan", "float32"
Row = dict[str, Any]


def never_slower(args: argparse.Namespace) -> list[Row]:
    """A row for each net. Raises DeviceError, BuildError."""
    folder = args.out / "never-slower"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(args.nets_drawn):
        path = folder / f"{seed}.json"
        if not path.exists():
            row = _row(seed, args)
            path.write_text(json.dumps(row))
            print(f"never-slower {seed + 1} of {args.nets_drawn}: {_said(row)}", file=sys.stderr, flush=True)
        rows.append(json.loads(path.read_text()))
    (args.out / "never-slower.json").write_text(json.dumps(rows, indent=1))
    return rows


def _row(seed: int, args: argparse.Namespace) -> Row:
    dice = random.Random(10_000 + seed)  # noqa: S311 - apart from the net's own dice
    method = dice.choice(tuple(BUDGETS))
    share = dice.uniform(*BUDGETS[method])
    threads = dice.choice(args.threads)
    task = drawn(seed)
    whole = GraphModel(capture_batched(task.model, task.example_inputs), task.example_inputs).eval()
    table = table_of(
        whole,
        task.name,
        args.out / "tables" / f"drawn-{seed}-{threads}",
        args.drawn_precisions,
        threads=threads,
        budget_s=args.drawn_s,
        rounds=1,
    )
    row: Row = {"seed": seed, "kind": kind_of(seed), "method": method, "share": share, "threads": threads}
    with open_device("local") as device:
        try:
            result = compress(
                task,
                CostModel(table, beyond=False),
                Budget(latency=f"{100 * share:.4f}%"),
                method=method,
                epochs=_EPOCHS,
                lr=_RATE,
                measure=measuring(device, table),
            )
        except BudgetError as error:
            return row | {"outcome": "refused", "note": str(error)}
        row |= {"note": result.plan.note, "layers": counts(result.plan)}
        row["outcome"] = "changed" if result.plan.changed else "unchanged"
        row["predicted_share"] = result.cost.latency_ms / result.baseline_cost.latency_ms
        return row | _measured(result, table, device, Effort(args.rounds, args.seconds))


def _measured(result: Result, table: CostTable, device: Device, effort: Effort) -> Row:
    with tempfile.TemporaryDirectory() as scratch:
        sides = {
            name: _compiled(model, device, table, Path(scratch) / name)
            for name, model in ((_PLAN, result.model), (_FLOAT, result.baseline))
        }
        samples, ratio = _ratio(sides, effort)
        row: Row = {"ratio": asdict(ratio)}
        if ratio.low > 1:
            again = Effort(_LONGER * effort.rounds, effort.seconds)
            samples, ratio = _ratio(sides, again)
            row["again"] = asdict(ratio)
    return row | {"plan_ms": median(samples[_PLAN]), "float_ms": median(samples[_FLOAT])}


def _ratio(
    sides: dict[str, Callable[[float, int], list[float]]], effort: Effort
) -> tuple[dict[str, list[float]], Ratio]:
    samples = in_turn(sides, effort)
    return samples, median_ratio(samples[_FLOAT], samples[_PLAN])


def _compiled(model: GraphModel, device: Device, table: CostTable, folder: Path) -> Callable[[float, int], list[float]]:
    artifact = hwaware.compile(model, model.example_inputs, device, out=folder, name=folder.name, table=table)
    return Ours(artifact, device, table.manifest.threads).sample


def _said(row: Row) -> str:
    ratio = row.get("ratio")
    times = f", {ratio['value']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f}) of float32" if ratio else ""
    return f"{row['kind']}, {row['method']} at {row['share']:.0%}: {row['outcome']}{times}"
