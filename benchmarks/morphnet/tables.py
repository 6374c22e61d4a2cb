"""Cost tables of this machine for the benchmark's nets: profiled once, gone on with where they are not complete."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.morphnet.tasks import Case, task_of
from hwaware.compression.task import Task
from hwaware.costs.table import CostTable
from hwaware.devices.device import open_device
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel
from hwaware.profiling.profile import profile


def table_for(case: Case, folder: Path) -> CostTable:
    """The table of a case's net. Raises DeviceError, BuildError."""
    return task_table(task_of(case), case.table_label, folder)


def task_table(task: Task, name: str, folder: Path, budget_s: float | None = None) -> CostTable:
    """The table of a task's net in `folder`."""
    if (folder / "table.json").exists():
        table = CostTable.load(folder)
        if table.manifest.complete or budget_s is not None:
            return table
    # As it is compressed: a captured net, for its own operations to be those that are profiled.
    model = GraphModel(capture_batched(task.model, task.example_inputs), task.example_inputs)

    def tell(done: int, total: int, what: str) -> None:
        if done % 50 == 0:
            print(f"{name}: {done}/{total} {what}", file=sys.stderr, flush=True)

    with open_device("local") as device:
        return profile(
            model,
            task.example_inputs,
            device,
            out=folder,
            name=name,
            resume=folder.exists(),
            budget_s=budget_s,
            on_progress=tell,
        )
