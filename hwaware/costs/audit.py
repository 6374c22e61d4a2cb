"""Audit: what a cost table said of a model, kept with its artifact, against the clock.

Compiling with a table stores the table's answer in the artifact. A run of it is compared with that answer and, where it
was made under the conditions the table is for, added to the table's validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwaware.compiler.target import CPU
from hwaware.costs.identity import first_difference, identity_of
from hwaware.costs.model_check import PROFILE, TRAINING, ModelCheck, digest_of
from hwaware.costs.prediction import MEASURED, Prediction
from hwaware.costs.table import CostTable
from hwaware.costs.validation import add_check, read_checks
from hwaware.errors import TableError
from hwaware.fields import Fields


@dataclass(frozen=True)
class StoredOp:
    """The table's answer for one operation, in ms."""

    name: str
    key: str
    latency_ms: float
    provenance: str


@dataclass(frozen=True)
class Stored:
    """The table's answer for a model: ms and bytes, and which table it was.

    `cells_sha256`, `threads` and `protocol` are None, `ops` is (), where only the answer was kept (by `compress`).
    `unit` is what computes, ``cpu`` or ``gpu``; `cores` is None for those that are taken unless others are asked for.
    """

    latency_ms: float
    interval_ms: tuple[float, float]
    table: str
    cells_sha256: str | None = None
    threads: int | None = None
    protocol: str | None = None
    unit: str = CPU
    cores: str | None = None
    peak_rss: int | None = None
    ops: tuple[StoredOp, ...] = ()

    def document(self) -> dict[str, Any]:
        """The JSON object ``extra.predicted`` of an artifact."""
        return asdict(self) | {"interval_ms": list(self.interval_ms), "ops": [asdict(op) for op in self.ops]}

    @classmethod
    def of(cls, prediction: Prediction, table: CostTable) -> Stored:
        """What is kept of a `prediction` by a `table`. Raises TableError for one that is in no folder."""
        if table.folder is None:
            raise TableError("a table that is in no folder cannot be audited: save it, then CostTable.load(FOLDER)")
        return cls(
            latency_ms=prediction.latency_ms,
            interval_ms=prediction.interval_ms,
            table=str(table.folder.resolve()),
            cells_sha256=table.manifest.cells_sha256,
            threads=table.manifest.threads,
            protocol=table.manifest.protocol,
            unit=table.manifest.unit,
            cores=table.manifest.conditions.get("cores"),
            peak_rss=prediction.memory_bytes.get("peak_rss"),
            ops=tuple(StoredOp(op.name, op.key, op.latency_ms, op.provenance) for op in prediction.ops),
        )

    @classmethod
    def read(cls, fields: Fields) -> Stored:
        """Read an untrusted document. Raises the error of its file."""
        return cls(
            latency_ms=fields.number("latency_ms", low=0),
            interval_ms=fields.interval("interval_ms"),
            table=fields.text("table"),
            cells_sha256=fields.text("cells_sha256") if fields.has("cells_sha256") else None,
            threads=fields.integer("threads", low=1) if fields.has("threads") else None,
            protocol=fields.text("protocol") if fields.has("protocol") else None,
            unit=fields.text("unit") if fields.has("unit") else CPU,
            cores=fields.text("cores") if fields.has("cores") else None,
            peak_rss=fields.integer("peak_rss") if fields.has("peak_rss") else None,
            ops=tuple(
                StoredOp(op.text("name"), op.text("key"), op.number("latency_ms", low=0), op.text("provenance"))
                for op in (fields.sections("ops") if fields.has("ops") else ())
            ),
        )

    def other_run(self, threads: int, protocol: str, cores: str | None = None) -> str | None:
        """In words, why the answer is none for a run with these `threads`, `protocol`, `cores`; None if it is one."""
        for name, known, here in (("threads", self.threads, threads), ("protocol", self.protocol, protocol)):
            if known is not None and known != here:
                return f"the prediction stored with the artifact is for {name} {known}, this run took {here}"
        if self.threads is not None and self.cores != cores:
            known, here = (f"cores {name}" if name else "the default cores" for name in (self.cores, cores))
            return f"the prediction stored with the artifact is for {known}, this run took {here}"
        return None


@dataclass(frozen=True)
class Measured:
    """A run: the median with its 95 % interval in ms, memory in bytes."""

    latency_ms: float
    ci95_ms: tuple[float, float]
    weights: int
    arena: int
    peak_rss: int | None


def keep(
    folder: Path, stored: Stored, measured: Measured, *, model: str, here: Mapping[str, Any], created: str
) -> ModelCheck:
    """Add the run to the validation of the table in `folder`.

    `here` says what the run was made with, by the names of `identity_of`. Raises TableError where the table is not the
    one that `stored` came from, or not for what is `here`.
    """
    table = CostTable.load(folder).of(stored.unit)
    if not stored.ops or table.manifest.cells_sha256 != stored.cells_sha256:
        raise TableError(
            f"{folder} is not the table, or no longer, that predicted {model}: compile it again with --table {folder}"
        )
    found = first_difference(identity_of(table.manifest), here)
    if found is not None:
        raise TableError(f"{folder} is not for this run: {found}")
    digest = digest_of(op.key for op in stored.ops)
    # Whatever it is called here: the profile may have run it as a whole.
    profiled = {known.digest for known in read_checks(folder, stored.unit) if known.source in (PROFILE, TRAINING)}
    check = ModelCheck(
        model=model,
        digest=digest,
        threads=table.manifest.threads,
        held_out=digest not in profiled
        and (model not in table.manifest.models or any(op.provenance != MEASURED for op in stored.ops)),
        predicted_ms=stored.latency_ms,
        low_ms=stored.interval_ms[0],
        high_ms=stored.interval_ms[1],
        measured_ms=measured.latency_ms,
        ci95_low_ms=measured.ci95_ms[0],
        ci95_high_ms=measured.ci95_ms[1],
        predicted_rss=stored.peak_rss,
        measured_rss=measured.peak_rss,
        weights=measured.weights,
        arena=measured.arena,
        created=created,
        source="run",
    )
    add_check(folder, check, stored.unit)
    return check
