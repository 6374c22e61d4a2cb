"""The whole way on one machine: train, profile, compress, compile, run both, compare."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwaware.compiler.artifact import Artifact, build_artifact
from hwaware.compression.budget import Budget
from hwaware.compression.compress import compress
from hwaware.compression.report_extra import report_extra
from hwaware.compression.saved import BASELINE, save_result
from hwaware.compression.task import Task
from hwaware.costs.audit import Stored
from hwaware.costs.predict import predict
from hwaware.costs.table import JOURNAL, MANIFEST, CostTable
from hwaware.devices.device import Device, open_device
from hwaware.errors import HwawareError, TableError
from hwaware.graph.model import GraphModel
from hwaware.profiling.profile import profile
from hwaware.profiling.run import run_artifact
from hwaware.profiling.target import target_of
from hwaware.reports.compare import Comparison, compare
from hwaware.reports.html import write_page
from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.measure import measure_in_turn
from hwaware.zoo.training import trained_zoo_task

NET, DATA = "resnet8", "digits"
# Of whole variants: the demo is to end in two minutes, and one net of known size is all it asks about.
_ROUNDS = 2
BUDGET = "60%"
# Largest difference from PyTorch, relative to the largest output.
TOLERANCE = 1e-4

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoResult:
    """What the demo made: both reports, their comparison, and where the page is."""

    before: LatencyReport
    after: LatencyReport
    comparison: Comparison
    page: Path
    table: Path


def run_demo(out: Path, say: Say) -> DemoResult:
    """Do all of it into the folder `out`; `say` gets a line for each step."""
    torch.manual_seed(0)
    # So small a net gains little from a second thread, and on a busy machine waits for it at every operation.
    torch.set_num_threads(1)
    say(f"training {NET} on {DATA} (real handwritten digits, embedded in scikit-learn)")
    task = trained_zoo_task(NET, DATA)
    with open_device("local") as device:
        say(f"profiling this machine ({target_of(device).name}): every operation at several widths")
        table_dir = out / "table"
        table = _profile(task, device, table_dir)
        say(f"{len(table.rows)} cells in {table_dir}")
        say(f"compressing to {BUDGET} of the latency with measured costs (MorphNet)")
        result = compress(task, table, Budget(latency=BUDGET), method="morphnet")
        compressed = out / "compressed"
        save_result(result, compressed)
        say("compiling both with TVM and checking their outputs on this machine")
        artifacts = [
            _compile(model, device, table, out / name, name, report_extra(folder))
            for model, name, folder in (
                (result.baseline, NET, compressed / BASELINE),
                (result.model, f"{NET}-compressed", compressed),
            )
        ]
        for artifact, model in zip(artifacts, (result.baseline, result.model), strict=True):
            _check_outputs(artifact, model, device)
        say("running both in turn")
        before, after = measure_in_turn(artifacts, device)
    return _report(out, before, after, table_dir)


def _profile(task: Task, device: Device, folder: Path) -> CostTable:
    # The demo measures afresh each time: a table of an earlier run may be of another state of the machine.
    if any((folder / name).exists() for name in (MANIFEST, JOURNAL)) and not folder.is_symlink():
        shutil.rmtree(folder)
    elif folder.exists() or folder.is_symlink():
        raise TableError(f"{folder} is not a cost table of an earlier demo: choose another --out")
    return profile(task.model, task.example_inputs, device, out=folder, name=NET, rounds=_ROUNDS)


def _compile(
    model: GraphModel, device: Device, table: CostTable, folder: Path, name: str, extra: dict[str, Any]
) -> Artifact:
    # With the answer for every operation, so that `hwaware run` of it is audited.
    predicted = Stored.of(predict(model, model.example_inputs, table), table).document()
    return build_artifact(
        model,
        model.example_inputs,
        target_of(device),
        folder,
        name=name,
        chooser=table.choices,
        extra=extra | {"predicted": predicted},
    )


def _check_outputs(artifact: Artifact, model: GraphModel, device: Device) -> None:
    """Raise if the compiled model does not compute what PyTorch does on fresh random inputs."""
    inputs = [torch.randn_like(value) for value in model.example_inputs]
    with torch.no_grad():
        expected = model.eval()(*inputs).numpy()
    arrays = [value.numpy() for value in inputs]
    output = run_artifact(artifact, device, inputs=arrays, min_time_ms=10, min_count=1).outputs[0]
    error = float(np.abs(output - expected).max() / np.abs(expected).max())
    if not error <= TOLERANCE:
        raise HwawareError(f"{artifact.model}: outputs differ from PyTorch's by {error:.1e}; please report this")


def _report(out: Path, before: LatencyReport, after: LatencyReport, table: Path) -> DemoResult:
    before.save(out / "before.json")
    after.save(out / "after.json")
    comparison = compare(before, after)
    page = write_page(out / "report.html", [before, after], comparison, title=f"{NET} on {DATA}")
    return DemoResult(before, after, comparison, page, table)
