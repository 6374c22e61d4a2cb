"""Is a budget what is measured? Twenty of them, from 30 % to 90 %.

One net (resnet8 on digits), compressed to each budget with a few epochs, all measured in turn with the net they come
from. A bar of the benchmark: within ±5 % of what was asked, never above by more than 3 %.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from benchmarks.morphnet.clock import measured
from benchmarks.morphnet.sweep import program_of
from benchmarks.morphnet.tables import table_for
from benchmarks.morphnet.tasks import Case, rate, trained
from hwaware.compression.budget import Budget
from hwaware.compression.compress import compress
from hwaware.costs.model import CostModel
from hwaware.costs.table import CostTable
from hwaware.graph.model import GraphModel
from hwaware.graph.store import load, save

BUDGETS, LEAST, MOST = 20, 0.3, 0.9
WITHIN, ABOVE = 0.05, 0.03
NET, _EPOCHS = "resnet8", 4


def budgets(out: Path, processes: int) -> str:
    """Run, and say how many are met. Raises HwawareError."""
    case = Case(NET, "digits", 0, out, out)
    folder = out / f"budgets-{case.label}"
    table = table_for(case, out / "tables" / case.label)
    asked = [float(share) for share in np.linspace(LEAST, MOST, BUDGETS)]
    task = trained(case, 0)
    whole = task.model
    assert isinstance(whole, GraphModel)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(_compressed, case, out / "tables" / case.label, folder, share) for share in asked]
        names = [job.result() for job in jobs]
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


def _compressed(case: Case, table: Path, folder: Path, share: float) -> str:
    torch.set_num_threads(1)
    name = f"share-{round(1000 * share)}"
    if not (folder / name).exists():
        task, lr = trained(case, 0), rate(case)
        source = CostModel(CostTable.load(table), beyond=False)
        result = compress(task, source, Budget(latency=f"{100 * share:.4f}%"), method="morphnet", epochs=_EPOCHS, lr=lr)
        save(result.model, folder / name)
    return name
