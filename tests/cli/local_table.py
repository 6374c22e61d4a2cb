"""A cost table for this machine, with made-up costs: what is done with a table, without profiling first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hwaware.compiler.schedules import variant
from hwaware.compiler.versions import toolchain_identity
from hwaware.costs.memory import MemoryModel
from hwaware.costs.table import CostTable
from hwaware.devices.device import open_device
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.profiling.target import device_facts, target_of
from hwaware.reference import load_model
from tests.costs.tables import manifest, row

NET = f"{Path(__file__).parents[1] / 'profiling' / 'nets.py'}:tiny"
OP_NS = 1000.0


def write_local_table(folder: Path, **fields: Any) -> CostTable:
    """The tiny net's operations at `OP_NS` each, as one that was profiled on `local`; `fields` are the manifest's."""
    loaded = load_model(NET)
    with open_device("local") as device:
        target, facts = target_of(device), device_facts(device)
    about = manifest(
        device="local",
        fingerprint=facts.fingerprint(),
        facts=facts.as_dict(),
        toolchain=toolchain_identity(target),
        target=target.identity(),
        emulated=facts.emulated,
        models=(loaded.name,),
        memory=MemoryModel(facts.page_bytes, 8000.0, 500.0, 0.01, 1).document(),
    )
    ops = lower(capture(loaded.module, loaded.example_inputs)).ops
    workloads = {op.workload.key: op.workload for op in ops}.values()
    rows = tuple(row(work, OP_NS, schedule=str(variant(work, target).choice)) for work in workloads)
    made = CostTable(replace(about, **fields), rows).sealed()
    made.save(folder)
    return made
