"""What a cost model answers: the cost of an operation, and of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MEASURED, INTERPOLATED, PREDICTED = "measured", "interpolated", "predicted"


@dataclass(frozen=True)
class Cost:
    """Of one operation, in milliseconds; `interval_ms` holds 90 %, `provenance` is measured, interpolated or predicted.

    `spread` is the standard deviation of the logarithm.
    """

    latency_ms: float
    interval_ms: tuple[float, float]
    provenance: str
    weight_bytes: int | None = None
    spread: float = 0.0


@dataclass(frozen=True)
class OpCost:
    """One operation of a predicted model."""

    name: str
    key: str
    latency_ms: float
    provenance: str


@dataclass(frozen=True)
class Prediction:
    """A model's latency and memory; `missing` are keys without a cost, and then `latency_ms` covers the rest only.

    `interval_ms` is meant to hold nine of ten measured values; `doubt` is the part of it that comes from the
    operations, as a relative standard deviation.
    """

    latency_ms: float
    interval_ms: tuple[float, float]
    memory_bytes: Mapping[str, int]
    ops: tuple[OpCost, ...]
    missing: tuple[str, ...] = ()
    doubt: float = 0.0

    @property
    def provenance(self) -> str:
        """How its least certain operation is known: measured, interpolated or predicted."""
        known = (MEASURED, INTERPOLATED, PREDICTED)
        return max((op.provenance for op in self.ops), key=known.index, default=MEASURED)

    def document(self) -> dict[str, Any]:
        """The JSON document of ``hwaware predict --json``."""
        document = asdict(self) | {"interval_ms": list(self.interval_ms), "missing": list(self.missing)}
        del document["doubt"]
        return document
