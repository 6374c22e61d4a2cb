"""Where the schedules of a model that is compiled come from: a table, a search on the device, or a compressed model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.compiler.choice import Chooser
from hwaware.costs.choices import Choices
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.profiling.bench import Bench
from hwaware.profiling.fits import check_table
from hwaware.profiling.settings import effort_for
from hwaware.profiling.target import target_of
from hwaware.profiling.tune import OnProgress, all_ways, tune

if TYPE_CHECKING:
    import torch
    from torch import nn

_LEASE_WAIT_S = 60.0


def table_choices(
    table: CostTable | Path, device: Device, *, threads: int | None = None, any_device: bool = False
) -> Choices:
    """The schedules a cost table was measured with.

    Raises TableError where it is not of `device` (unless `any_device`), or of another number of `threads`, if asked.
    """
    known = table if isinstance(table, CostTable) else CostTable.load(table)
    if not any_device:
        check_table(known.manifest, device, threads=threads)
    return known.choices


def search_choices(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    device: Device,
    *,
    threads: int = 1,
    unit: str | None = None,
    known: Chooser | None = None,
    on_progress: OnProgress | None = None,
) -> Choices:
    """The fastest schedule of each of the model's operations, by measuring every candidate on `unit` of `device`.

    What `known` has is not searched again. Raises DeviceError, BuildError, ModelError.
    """
    graph = capture(module, example_inputs)
    target = target_of(device, unit)
    workloads = list({op.workload.key: op.workload for op in lower(graph).ops}.values())
    made = Choices()
    missing = []
    for workload in workloads:
        choice = known.of(workload) if known is not None else None
        if choice is None:
            missing.append(workload)
        else:
            made.add(workload, choice)
    bench = Bench(device, target, threads, effort_for(graph, target, "pinned"))
    with device.transport.lease(wait=_LEASE_WAIT_S):
        tuned = tune(bench, missing, all_ways(target, threads), on_progress)
    for workload in missing:
        made.add(workload, tuned[workload.key].choice)
    return made
