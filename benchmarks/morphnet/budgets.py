"""Is a budget what is measured? Twenty of them, from 30 % to 90 %.

One net (resnet8 on digits), compressed to each budget with a few epochs and with the device at hand, then all measured
in turn with the net they come from. A bar of the benchmark: within ±5 % of what was asked, not above by more than 3 %.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.morphnet.clock import measured
from benchmarks.morphnet.sweep import program_of
from benchmarks.morphnet.tables import table_for
from benchmarks.morphnet.tasks import Case, rate, trained
from hwaware.api import measuring
from hwaware.compression.budget import Budget
from hwaware.compression.compress import compress
from hwaware.compression.finish import Measure
from hwaware.compression.task import Task
from hwaware.costs.model import CostModel
from hwaware.costs.table import CostTable
from hwaware.devices.device import open_device
from hwaware.graph.model import GraphModel
from hwaware.graph.store import load, save

BUDGETS, LEAST, MOST = 20, 0.3, 0.9
WITHIN, ABOVE = 0.05, 0.03
NET, _EPOCHS = "resnet8", 4


def budgets(out: Path) -> str:
    """Run, and say how many are met. Raises HwawareError."""
    case = Case(NET, "digits", 0, out, out)
    folder = out / f"budgets-{case.label}"
    table = table_for(case, out / "tables" / case.label)
    asked = [float(share) for share in np.linspace(LEAST, MOST, BUDGETS)]
    task = trained(case, 0)
    whole = task.model
    assert isinstance(whole, GraphModel)
    with open_device("local") as device:
        measure = measuring(device, table)
        names = [_compressed(task, case, table, folder, share, measure) for share in asked]
    programs = {name: program_of(load(folder / name)) for name in names}
    times, base = measured(programs, program_of(whole), table, lambda what: print(what, file=sys.stderr, flush=True))
    rows = [{"asked": share, "measured": times[name] / base} for share, name in zip(asked, names, strict=True)]
    (out / "budgets.json").write_text(json.dumps({"whole_ms": base, "budgets": rows}, indent=1))
    return f"budgets, {case.label}\n{text(rows)}"


def text(rows: list[dict[str, float]]) -> str:
    """Each budget, and how many are within the bar."""
    errors = [row["measured"] / row["asked"] - 1 for row in rows]
    lines = [
        f"asked {row['asked']:.1%}, measured {row['measured']:.1%} ({error:+.1%})"
        for row, error in zip(rows, errors, strict=True)
    ]
    good = sum(-WITHIN <= error <= ABOVE for error in errors)
    return "\n".join([*lines, f"{good} of {len(rows)} within -{WITHIN:.0%} and +{ABOVE:.0%}"])


def _compressed(task: Task, case: Case, table: CostTable, folder: Path, share: float, measure: Measure) -> str:
    """One at a time, as structures are measured in between: nothing may train beside that."""
    name = f"share-{round(1000 * share)}"
    if not (folder / name).exists():
        budget = Budget(latency=f"{100 * share:.4f}%")
        source, lr = CostModel(table, beyond=False), rate(case)
        result = compress(task, source, budget, method="morphnet", epochs=_EPOCHS, lr=lr, measure=measure)
        save(result.model, folder / name)
        print(f"{name}: {result.plan.note}", file=sys.stderr, flush=True)
    return name
