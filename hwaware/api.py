"""The library's verbs that join several parts."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hwaware.compiler.artifact import Artifact, build_artifact
from hwaware.compression.finish import Measure
from hwaware.compression.quantize.pt2e import taken
from hwaware.costs.audit import Stored
from hwaware.costs.predict import predict
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device
from hwaware.errors import MissingCostError
from hwaware.graph.model import GraphModel
from hwaware.profiling.precisions import parse_precisions
from hwaware.profiling.profile import profile as profile_into
from hwaware.profiling.rounds import MOST_ROUNDS
from hwaware.profiling.schedules import search_choices, table_choices
from hwaware.profiling.target import target_of
from hwaware.reports.measure import medians_in_turn


def profile(
    model: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    device: Device,
    *,
    out: Path | None = None,
    name: str | None = None,
    threads: int = 1,
    budget_s: float | None = None,
    resume: bool = False,
    rounds: int = MOST_ROUNDS,
    cores: str | None = None,
    unit: str | None = None,
    wider: float = 1.0,
    precisions: str = "",
) -> CostTable:
    """Measure `model`'s operations, and at most `rounds` rounds of narrower variants of it, on `device`.

    The table is written to `out` (default: a new temporary folder); `name` is what it calls the model (default: its
    class), `cores` a cluster of the device's cores other than the fastest, `unit` "cpu" or "gpu"; with
    `wider` the table reaches up to so many times the model's channels, with `precisions` (``int8p,weight8``) it knows
    layers in those too. Raises DeviceError, ModelError or BuildError.
    """
    folder = out if out is not None else Path(tempfile.mkdtemp(prefix="hwaware-table-")) / "table"
    return profile_into(
        taken(model, example_inputs),
        example_inputs,
        device,
        out=folder,
        name=name or type(model).__name__.lower(),
        threads=threads,
        budget_s=budget_s,
        resume=resume,
        rounds=rounds,
        cores=cores,
        unit=unit,
        wider=wider,
        precisions=parse_precisions(precisions),
    )


def measuring(device: Device, table: CostTable) -> Measure:
    """For `compress`: compiles models with the schedules of `table` and runs them on `device` in turn.

    Gives the median milliseconds of each, with the table's number of threads.
    """
    target = target_of(device, table.manifest.unit, like=table.manifest.target)
    chooser = table_choices(table.of(target.unit), device)

    def measure(models: Sequence[GraphModel]) -> list[float]:
        with tempfile.TemporaryDirectory(prefix="hwaware-finalists-") as folder:
            artifacts = []
            for index, model in enumerate(models):
                out, name = Path(folder) / f"{index}", f"finalist-{index}"
                artifacts.append(build_artifact(model, model.example_inputs, target, out, name=name, chooser=chooser))
            return medians_in_turn(artifacts, device, threads=table.manifest.threads)

    return measure


def compile(
    model: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    device: Device,
    *,
    out: Path | None = None,
    name: str | None = None,
    table: CostTable | None = None,
    tune: bool = False,
    threads: int = 1,
    unit: str | None = None,
) -> Artifact:
    """Compile `model` for `device` into the folder `out` (default: a new temporary folder).

    Kernels are written by the schedules that `table` was measured with; with `tune` by the fastest of the candidates,
    which are measured on the device with `threads` threads first; else by the compiler's guesses. What a `table` that
    has a folder says of the model is kept in the artifact, for a run of it to be audited; it warns where that is not
    known. `unit` is "cpu" or "gpu", by default the table's, or that of `profiling.target.target_of`.
    """
    model = taken(model, example_inputs)
    if unit is None and table is not None:
        unit = table.manifest.unit
    target = target_of(device, unit, like=None if table is None else table.manifest.target)
    if table is not None:
        table = table.of(target.unit)
    chooser = None
    extra: dict[str, Any] = {}
    if table is not None:
        chooser = table_choices(table, device)
        if table.folder is not None:
            try:
                extra["predicted"] = Stored.of(predict(model, example_inputs, table), table).document()
            except MissingCostError as error:
                warnings.warn(f"the artifact goes without a prediction: {error}", stacklevel=2)
    elif tune:
        chooser = search_choices(model, example_inputs, device, threads=threads, unit=unit)
    folder = out if out is not None else Path(tempfile.mkdtemp(prefix="hwaware-artifact-")) / "artifact"
    return build_artifact(
        model,
        example_inputs,
        target,
        folder,
        name=name or type(model).__name__.lower(),
        chooser=chooser,
        extra=extra,
    )
