"""Cost tables made up for tests: costs follow a formula, so that answers are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from hwaware.compiler.effort import effort
from hwaware.compiler.schedules import candidates
from hwaware.compiler.targets import restored_target
from hwaware.costs.family import Coordinates, family, with_coordinates
from hwaware.costs.manifest import Manifest
from hwaware.costs.row import OK, CellRow, statistics_of
from hwaware.costs.table import CostTable
from hwaware.graph.ir import Spec
from hwaware.graph.workload import CHANNEL, Step, Workload, canonical

TARGET = restored_target({"name": "x86_64-avx2"})
LANES = TARGET.lanes
FINGERPRINT = {"arch": "x86_64", "features": ["avx2", "fma"], "cpus": 2, "sha256": "0" * 64}
TOOLCHAIN = {"hwaware": "0.1.0", "tvm": "0.27.0", "target": "x86_64-avx2"}


def conv(inside: int, outside: int, size: int = 6, groups: int = 1) -> Workload:
    """A 3×3 convolution with bias."""
    attrs = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": groups}
    return Workload(
        "conv2d",
        (Spec((1, size, size, inside), "float32"),),
        Spec((1, size, size, outside), "float32"),
        canonical(attrs),  # type: ignore[arg-type]
        (Step("add", (), CHANNEL, constant=True),),
    )


def pool(channels: int) -> Workload:
    """A global mean."""
    return Workload(
        "reduce",
        (Spec((1, 36, channels), "float32"),),
        Spec((1, channels), "float32"),
        canonical({"mode": "mean"}),
    )


def row(workload: Workload, ns: float, **fields: Any) -> CellRow:
    """A row whose samples lie around `ns`."""
    place = family(workload)
    choice = candidates(workload, TARGET)[0]
    counts = tuple(map(float, effort(workload, TARGET, choice)))
    samples = [round(ns * factor, 1) for factor in (0.99, 1.0, 1.01, 1.0, 0.995, 1.005, 1.0, 1.0)]
    made = CellRow(workload.key, place.key, workload.kind, place.coordinates, 1, OK, **statistics_of(samples))
    made = replace(made, schedule=str(choice), counts=counts)
    return replace(made, **({"cold_ns": 3 * ns, "inner": 1, "weight_bytes": 64, "load1": 0.5} | fields))


def manifest(**fields: Any) -> Manifest:
    """A manifest of an AVX2 machine with 8 lanes."""
    plain = Manifest(
        device="board",
        fingerprint=FINGERPRINT,
        facts={"arch": "x86_64"},
        toolchain=TOOLCHAIN,
        target={"name": "x86_64-avx2", "lanes": LANES},
        threads=1,
        protocol="pinned",
        rule={"displace_kb": 512},
        conditions={"governor": None},
        created="2024-01-01T00:00:00+00:00",
        models=("net",),
        complete=True,
    )
    return replace(plain, **fields)


def table(rows: Sequence[CellRow], **fields: Any) -> CostTable:
    """A table of `rows`."""
    return CostTable(manifest(**fields), tuple(rows)).sealed()


def grid_table(template: Workload, places: Iterable[Coordinates], cost: Callable[[Coordinates], float]) -> CostTable:
    """A table with `template` at all `places`, costs in ns."""
    return table([row(with_coordinates(template, place), cost(place)) for place in places])
