"""Cost tables with invented but known costs, for laws that hold for any table; nothing here is a measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hwaware.compiler.effort import effort
from hwaware.compiler.schedules import candidates
from hwaware.compiler.targets import restored_target
from hwaware.costs.family import family
from hwaware.costs.manifest import Manifest
from hwaware.costs.prediction import MEASURED, Cost, Prediction
from hwaware.costs.row import OK, CellRow, statistics_of
from hwaware.costs.steps import padded
from hwaware.costs.table import CostTable
from hwaware.graph.ir import Graph
from hwaware.graph.lower import Program
from hwaware.graph.workload import Workload
from hwaware.profiling.cells import model_cells
from hwaware.profiling.precisions import Precision
from hwaware.profiling.variants import Variants, prunable_groups

TARGET = restored_target({"name": "x86_64-avx2"})
LANES = TARGET.lanes
_VARIANTS = 12
Nanoseconds = Callable[[Workload], float]


def staircase(workload: Workload) -> float:
    """Multiply-adds with output channels padded to vectors, and a nanosecond a hundred moved elements."""
    moved = math.prod(workload.output.shape) + sum(math.prod(spec.shape) for spec in workload.inputs)
    if workload.kind not in ("conv2d", "dense"):
        return 10 + moved / 100
    groups = dict(workload.attrs).get("groups", 1)
    assert isinstance(groups, int)
    kernel = math.prod(workload.ints("kernel")) if workload.kind == "conv2d" else 1
    *places, out = workload.output.shape
    inside = workload.inputs[0].shape[-1] // groups
    return 10 + moved / 100 + math.prod(places) * padded(out // groups, LANES) * groups * inside * kernel / 32


def integers_pay(workload: Workload) -> float:
    """As `staircase`, but half of it where a layer reads levels; a conversion takes what its elements do."""
    layer = workload.kind in ("conv2d", "dense")
    half = layer and bool(workload.inputs) and workload.inputs[0].dtype == "uint8"
    conversions = sum("quantize" in str(step) for step in workload.epilogue)
    return staircase(workload) * (0.5 if half else 1.0) + conversions * math.prod(workload.output.shape) / 50


def table_of(
    graph: Graph,
    nanoseconds: Nanoseconds = staircase,
    lanes: int = LANES,
    precisions: Sequence[Precision] = (),
    winograd: bool = False,
) -> CostTable:
    """Cells of `graph` (static) and of narrower variants of it, each with the cost `nanoseconds` says.

    With `winograd` its schedules are the first choice, as for a table that was measured; they take long to write.
    """
    works = {cell.workload.key: cell.workload for cell in model_cells(graph, lanes, precisions)}
    variants = Variants(graph, prunable_groups(graph), lanes, precisions)
    for name in (f"{kind}{index}" for kind in ("step", "free") for index in range(_VARIANTS)):
        program = variants.program(name)
        works |= {op.workload.key: op.workload for op in program.ops} if program is not None else {}
    rows = []
    for work in works.values():
        able = candidates(work, TARGET)
        member, choice = family(work), able[0] if winograd else next(c for c in able if c.schedule != "winograd")
        counts = tuple(map(float, effort(work, TARGET, choice)))
        columns = statistics_of([nanoseconds(work)])
        row = CellRow(work.key, member.key, work.kind, member.coordinates, 1, OK, **columns)
        rows.append(replace(row, schedule=str(choice), counts=counts))
    target = {"name": "x86_64-avx2", "cpu": "haswell", "features": [], "lanes": lanes}
    manifest = Manifest(
        device="invented",
        fingerprint={},
        facts={},
        toolchain={},
        target=target,
        threads=1,
        protocol="pinned",
        rule={},
        conditions={},
        created="2026-01-01T00:00:00+00:00",
        overhead_ns=500.0,
        complete=True,
    )
    return CostTable(manifest, tuple(rows)).sealed()


@dataclass(frozen=True)
class Formula:
    """A cost source without a table: any width is known, exactly as the formula says, in nanoseconds."""

    nanoseconds: Nanoseconds

    def cost(self, workload: Workload) -> Cost:
        value = self.nanoseconds(workload) / 1e6
        return Cost(value, (value, value), MEASURED)

    def predict(self, program: Program, memory_bytes: Mapping[str, int]) -> Prediction:
        total = sum(self.cost(op.workload).latency_ms for op in program.ops)
        return Prediction(total, (total, total), memory_bytes, ())


def multiply_adds(workload: Workload) -> float:
    """Multiply-adds of convolutions and dense layers, nothing else costs."""
    if workload.kind not in ("conv2d", "dense"):
        return 0.0
    groups = dict(workload.attrs).get("groups", 1)
    assert isinstance(groups, int)
    kernel = math.prod(workload.ints("kernel")) if workload.kind == "conv2d" else 1
    return math.prod(workload.output.shape) * workload.inputs[0].shape[-1] // groups * kernel
