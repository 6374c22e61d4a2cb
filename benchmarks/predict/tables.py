"""The table a series is predicted from: profiled here and timed, or one that is there already."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.predict.outcome import TableUse
from hwaware.costs.table import JOURNAL, MANIFEST, CostTable
from hwaware.devices.device import Device
from hwaware.errors import TableError
from hwaware.profiling.fits import check_table
from hwaware.profiling.profile import profile
from hwaware.reference import LoadedModel

# A second profile is stopped at this share of the first one's time: the bar is missed by then.
_SECOND = 0.25
_SAYS_EVERY_S = 30.0
Say = Callable[[str], None]


def ready(
    model: LoadedModel, device: Device, threads: int, folder: Path, budget_s: float, times: Path, say: Say
) -> TableUse:
    """The table in `folder`, made if it is not there; `times` remembers how long that took.

    A profile that was interrupted goes on, and is then not timed. Raises TableError for a table of another device,
    toolchain, model or number of threads.
    """
    if (folder / MANIFEST).exists():
        return _known(CostTable.load(folder), device, model.name, threads, folder, times)
    interrupted = (folder / JOURNAL).exists()
    table, seconds = _timed(model, device, threads, folder, budget_s, interrupted, say)
    use = _use(table, folder)
    if not interrupted:
        use = replace(use, seconds=seconds)
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "table"
            shutil.copytree(folder, copy)
            again = min(budget_s, max(1.0, _SECOND * seconds))
            use = replace(use, second_seconds=_timed(model, device, threads, copy, again, True, say)[1])
        times.write_text(json.dumps(asdict(use), indent=1) + "\n")
    return use


def _known(table: CostTable, device: Device, model: str, threads: int, folder: Path, times: Path) -> TableUse:
    check_table(table.manifest, device, threads=threads)
    if model not in table.manifest.models:
        raise TableError(
            f"the table {folder} is of {', '.join(table.manifest.models)}, not of {model}: choose another --tables"
        )
    use = _use(table, folder)
    if times.exists():
        known = TableUse(**json.loads(times.read_text()))
        if known.cells_sha256 == use.cells_sha256:
            return replace(use, seconds=known.seconds, second_seconds=known.second_seconds)
    return use


def _use(table: CostTable, folder: Path) -> TableUse:
    manifest = table.manifest
    return TableUse(str(folder), manifest.cells, manifest.complete, manifest.cells_sha256)


def _timed(
    model: LoadedModel, device: Device, threads: int, folder: Path, budget_s: float, resume: bool, say: Say
) -> tuple[CostTable, float]:
    start = said = time.perf_counter()

    def tell(done: int, total: int, what: str) -> None:
        nonlocal said
        if time.perf_counter() - said > _SAYS_EVERY_S:
            said = time.perf_counter()
            say(f"{done} of {total} cells, {what}")

    table = profile(
        model.module,
        model.example_inputs,
        device,
        out=folder,
        name=model.name,
        threads=threads,
        budget_s=budget_s,
        resume=resume,
        on_progress=tell,
    )
    seconds = time.perf_counter() - start
    say(f"{'profiled again' if resume else 'profiled'}: {table.manifest.cells} cells in {seconds:.1f} s")
    return table, seconds
