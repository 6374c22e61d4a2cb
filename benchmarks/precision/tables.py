"""Cost tables of this machine that know precisions: profiled once, gone on with where they are not complete."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hwaware.compression.quantize.choices import Precision
from hwaware.costs.table import CostTable
from hwaware.devices.device import open_device
from hwaware.graph.model import GraphModel
from hwaware.profiling.profile import profile
from hwaware.profiling.rounds import MOST_ROUNDS

_SAY_S = 20.0  # between lines of progress


def table_of(
    model: GraphModel,
    name: str,
    folder: Path,
    precisions: Sequence[Precision],
    *,
    threads: int = 1,
    budget_s: float | None = None,
    rounds: int = MOST_ROUNDS,
) -> CostTable:
    """The table of `model` in `folder`; with `budget_s` it may end before it is complete.

    The model's own operations are measured first, which is all that precisions without widths need. Raises TableError
    where the time is too short for those, DeviceError, BuildError.
    """
    if (folder / "table.json").exists():
        table = CostTable.load(folder)
        if table.manifest.complete or budget_s is not None:
            return table

    said = -_SAY_S

    def tell(done: int, total: int, what: str) -> None:
        nonlocal said
        if time.monotonic() - said >= _SAY_S:
            said = time.monotonic()
            print(f"{name}: {done}/{total} {what}", file=sys.stderr, flush=True)

    with open_device("local") as device:
        return profile(
            model,
            model.example_inputs,
            device,
            out=folder,
            name=name,
            threads=threads,
            resume=folder.exists(),
            budget_s=budget_s,
            rounds=rounds,
            precisions=precisions,
            on_progress=tell,
        )
