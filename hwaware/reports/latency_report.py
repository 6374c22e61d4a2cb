"""LatencyReport: one artifact measured on one device, as it is kept on disk and compared.

The JSON is a promise (`schema_version` 1): `schema_version, created, model, device, toolchain, conditions,
protocol, threads, latency_ms, memory_bytes, ops, warnings` and, where known, `accuracy`, `predicted` and
`widths`. Keys a reader does not know are ignored, so later versions may add some. All times are milliseconds,
all sizes bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hwaware.errors import ArtifactError
from hwaware.fields import Fields
from hwaware.files import Document, read_json, write_text_atomic
from hwaware.reports.parts import (
    Latency,
    Memory,
    OpLatency,
    Predicted,
    read_latency,
    read_memory,
    read_ops,
    read_predicted,
    read_widths,
)
from hwaware.statistics import summarise

SCHEMA_VERSION = 1
REPORT = Document("latency report", "`hwaware run ARTIFACT --device NAME --report FILE` makes one", ArtifactError)


@dataclass(frozen=True)
class LatencyReport:
    """A measured run.

    `device` holds at least `name` and `fingerprint` (text that is the same for the same hardware), beside the
    agent's facts; `toolchain` only what is the same for any two models compiled alike; `conditions` whatever
    the machine's state was, `power_mode` among it. `accuracy` is the task's metric (a fraction for
    classification, higher is better); `widths` maps a channel group or layer to its channels.
    """

    model: str
    device: Mapping[str, Any]
    toolchain: Mapping[str, Any]
    conditions: Mapping[str, Any]
    protocol: str
    threads: int
    latency_ms: Latency
    memory_bytes: Memory
    ops: tuple[OpLatency, ...] = ()
    warnings: tuple[str, ...] = ()
    accuracy: float | None = None
    predicted: Predicted | None = None
    widths: Mapping[str, int] | None = None
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def from_samples(
        cls,
        samples_ns: Sequence[float],
        *,
        model: str,
        device: Mapping[str, Any],
        toolchain: Mapping[str, Any],
        conditions: Mapping[str, Any],
        protocol: str,
        threads: int,
        memory_bytes: Memory,
        cold_ns: float | None = None,
        ops: tuple[OpLatency, ...] = (),
        warnings: Sequence[str] = (),
        accuracy: float | None = None,
        predicted: Predicted | None = None,
        widths: Mapping[str, int] | None = None,
    ) -> LatencyReport:
        """A report from the agent's nanoseconds per call. ArtifactError where those are no latencies."""
        samples = tuple(round(ns / 1e6, 7) for ns in samples_ns)  # 0.1 ns, as the agent prints
        try:
            summary = summarise(samples)
        except ValueError as error:
            raise ArtifactError(f"no report can be made of this run: {error}; run it again") from error
        cold = None if cold_ns is None else cold_ns / 1e6
        return cls(
            model=model,
            device=device,
            toolchain=toolchain,
            conditions=conditions,
            protocol=protocol,
            threads=threads,
            latency_ms=Latency(**vars(summary), cold=cold, samples=samples),
            memory_bytes=memory_bytes,
            ops=ops,
            warnings=tuple(warnings),
            accuracy=accuracy,
            predicted=predicted,
            widths=widths,
        )

    @classmethod
    def load(cls, path: Path) -> LatencyReport:
        """Read and check an untrusted file. ArtifactError names the file, the field and what to do."""
        return cls.from_document(read_json(path, REPORT), source=str(path))

    def save(self, path: Path) -> Path:
        """Write the report, whole or not at all; refuses what `load` would refuse. Raises ArtifactError."""
        document = self.to_document()
        self.from_document(document, source=f"the report for {path}")
        return write_text_atomic(path, json.dumps(document, allow_nan=False, ensure_ascii=False) + "\n", ArtifactError)

    def to_document(self) -> dict[str, Any]:
        """The JSON document, ready for json.dumps."""
        document = asdict(self)
        order = ("schema_version", "created", "model")
        document = {name: document[name] for name in order} | document
        return dict(json.loads(json.dumps(document)))

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, source: str) -> LatencyReport:
        """The report in a decoded JSON document. Raises ArtifactError."""
        top = Fields(source, "", document, REPORT)
        version = top.raw("schema_version")
        if version != SCHEMA_VERSION:
            raise ArtifactError(
                f"{source} has report schema {str(version)[:20]}, this hwaware reads {SCHEMA_VERSION}: "
                "use the hwaware that wrote it, or measure again with `hwaware run ... --report`"
            )
        device = top.section("device")
        for name in ("name", "fingerprint"):
            device.text(name)
        return cls(
            model=top.text("model"),
            device=device.values,
            toolchain=top.section("toolchain").values,
            conditions=top.section("conditions").values,
            protocol=top.text("protocol"),
            threads=top.integer("threads", low=1),
            latency_ms=read_latency(top.section("latency_ms")),
            memory_bytes=read_memory(top.section("memory_bytes")),
            ops=read_ops(top),
            warnings=top.texts("warnings"),
            accuracy=top.number("accuracy") if top.has("accuracy") else None,
            predicted=read_predicted(top.section("predicted")) if top.has("predicted") else None,
            widths=read_widths(top.section("widths")) if top.has("widths") else None,
            created=top.text("created"),
        )
