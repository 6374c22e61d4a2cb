"""What became of a variant, predicted and measured, and of all variants of one model at one number of threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.predict.draw import Widths


@dataclass(frozen=True)
class OpTime:
    """Milliseconds of one operation in the model; `provenance` is how its prediction is known."""

    name: str
    key: str
    ms: float
    provenance: str = ""


@dataclass(frozen=True)
class Predicted:
    """What the table says: milliseconds with the 90 % interval, bytes (None where the table does not say)."""

    ms: float
    low_ms: float
    high_ms: float
    peak_rss: int | None
    weights: int
    arena: int
    ops: tuple[OpTime, ...]


@dataclass(frozen=True)
class Measured:
    """What the clock says: the median of the undisturbed samples with its interval, and the median of each round.

    `any_ms` is the median of rounds that took every moment, calm or not; `disturbed` the share of the samples, of calm
    moments, that were nevertheless; `agreeing` the number of rounds that come near the fastest;
    `sentinel_ns` is what the agent's sentinel took around it: the speed of the machine itself.
    """

    ms: float
    rounds_ms: tuple[float, ...]
    any_ms: float
    disturbed: float
    agreeing: int
    ci95_ms: tuple[float, float]
    peak_rss: int | None
    sentinel_ns: float
    ops: tuple[OpTime, ...]
    output_error: float | None = None  # largest, relative to the output's largest value; None: not compared


@dataclass(frozen=True)
class Outcome:
    """One variant. Without a prediction `reason` says why. `widths` None is the model that was profiled."""

    widths: Widths | None
    predicted: Predicted | None
    reason: str
    measured: Measured

    @property
    def error(self) -> float | None:
        """Predicted over measured latency, less one."""
        return None if self.predicted is None else self.predicted.ms / self.measured.ms - 1

    @property
    def any_error(self) -> float | None:
        """The same if every moment counts, calm or not."""
        return None if self.predicted is None else self.predicted.ms / self.measured.any_ms - 1

    @property
    def covered(self) -> bool:
        """Whether the interval holds the measured latency."""
        return self.predicted is not None and self.predicted.low_ms <= self.measured.ms <= self.predicted.high_ms

    @property
    def memory_error(self) -> float | None:
        """Predicted over measured peak of resident bytes, less one; None where either is unknown."""
        if self.predicted is None or self.predicted.peak_rss is None or not self.measured.peak_rss:
            return None
        return self.predicted.peak_rss / self.measured.peak_rss - 1


@dataclass(frozen=True)
class TableUse:
    """The table that answered; `seconds` its profile took, `second_seconds` the same again, None where not timed."""

    path: str
    cells: int
    complete: bool
    cells_sha256: str
    seconds: float | None = None
    second_seconds: float | None = None

    @property
    def second_share(self) -> float | None:
        """Time of the second profile over that of the first."""
        if self.seconds is None or self.second_seconds is None:
            return None
        return self.second_seconds / self.seconds


@dataclass(frozen=True)
class Series:
    """All variants of a model at one number of threads; `whole` is the profiled model itself, as a control."""

    family: str
    threads: int
    seed: int
    redrawn: int
    table: TableUse
    whole: Outcome
    outcomes: tuple[Outcome, ...]
    predicted_first: bool  # before anything was measured; False: again, from the same table

    @property
    def label(self) -> str:
        """Its name in files and tables."""
        return label(self.family, self.threads)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def label(family: str, threads: int) -> str:
    """`resnet20-t1`; what a path may not hold becomes a dash."""
    return f"{family.removeprefix('zoo:').replace('/', '-').replace(':', '-')}-t{threads}"


def series_of(document: Mapping[str, Any]) -> Series:
    """The inverse of `Series.document`. KeyError or TypeError for anything else."""
    return Series(
        **{
            **document,
            "table": TableUse(**document["table"]),
            "whole": _outcome(document["whole"]),
            "outcomes": tuple(map(_outcome, document["outcomes"])),
        }
    )


def _outcome(document: Mapping[str, Any]) -> Outcome:
    predicted, measured = document["predicted"], document["measured"]
    return Outcome(
        document["widths"],
        None if predicted is None else Predicted(**{**predicted, "ops": _ops(predicted["ops"])}),
        document["reason"],
        Measured(
            **{
                **measured,
                "rounds_ms": tuple(measured["rounds_ms"]),
                "ci95_ms": tuple(measured["ci95_ms"]),
                "ops": _ops(measured["ops"]),
            }
        ),
    )


def _ops(documents: Sequence[Mapping[str, Any]]) -> tuple[OpTime, ...]:
    return tuple(OpTime(**op) for op in documents)
