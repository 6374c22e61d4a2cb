"""The parts of a LatencyReport: latency, memory, ops, prediction; each reads itself from untrusted fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hwaware.fields import Fields
from hwaware.statistics import Summary, quantiles

_QUANTILES = ("min", "p10", "p50", "p90", "p99")
_TOLERANCE = 1e-3  # relative; what another writer's rounding may shift a quantile


@dataclass(frozen=True)
class Latency(Summary):
    """A run's latency in ms: its summary, the first (cold) call if timed, every sample in measured order."""

    cold: float | None
    samples: tuple[float, ...]


@dataclass(frozen=True)
class Memory:
    """Bytes of the weights, of the activation arena, and of the process's peak resident set if known."""

    weights: int
    arena: int
    peak_rss: int | None


@dataclass(frozen=True)
class OpLatency:
    """One op timed inside the graph: median in ms and its share (0 to 1) of the sum over all ops."""

    name: str
    key: str
    p50_ms: float
    share: float


@dataclass(frozen=True)
class PredictedOp:
    """One op's time by the cost table, and how the table knew; `measured_ms` where the run timed its ops."""

    name: str
    key: str
    latency_ms: float
    provenance: str
    measured_ms: float | None = None


@dataclass(frozen=True)
class Predicted:
    """What a cost table said before the run: latency and interval in ms, and the table it came from.

    `error` is the predicted latency relative to the measured one, less 1; `peak_rss` the predicted peak in bytes; `ops`
    the parts of the prediction in graph order. None and () where they are not known.
    """

    latency_ms: float
    interval_ms: tuple[float, float]
    table: str
    error: float | None = None
    peak_rss: int | None = None
    ops: tuple[PredictedOp, ...] = ()


def op_latencies(timed: Iterable[tuple[str, str, Sequence[float]]]) -> tuple[OpLatency, ...]:
    """Ops of a report from (name, key, samples in ns) of the agent's per-op pass, in graph order."""
    # At least a tenth of a nanosecond: a coarse clock may not have moved during an operation.
    medians = [
        (name, key, quantiles([max(sample, 0.1) for sample in samples])[2] / 1e6) for name, key, samples in timed
    ]
    total = sum(p50 for _, _, p50 in medians)
    return tuple(OpLatency(name, key, round(p50, 7), round(p50 / total, 6)) for name, key, p50 in medians)


def read_latency(fields: Fields) -> Latency:
    """The latency section; refuses one whose samples tell otherwise than its summary."""
    samples = fields.numbers("samples")
    try:
        truth = dict(zip(_QUANTILES, quantiles(samples), strict=True)) | {"n": len(samples)}
    except ValueError as error:
        raise fields.error("samples", f"cannot be used ({error})") from error
    latency = Latency(
        n=fields.integer("n", low=1),
        **{name: fields.number(name, low=0) for name in (*_QUANTILES, "mad")},
        ci95=fields.interval("ci95"),
        cold=fields.number("cold", low=0) if fields.has("cold") else None,
        samples=samples,
    )
    # Verdicts come from the samples, tables from the summary: a file in which they disagree was edited.
    for name, computed in truth.items():
        stated = getattr(latency, name)
        if abs(stated - computed) > _TOLERANCE * computed:
            raise fields.error(name, f"is {stated:g} but its samples give {computed:g}")
    return latency


def read_ops(top: Fields) -> tuple[OpLatency, ...]:
    """The ops of the report; their names must be unique, for they are matched by name."""
    ops = tuple(
        OpLatency(op.text("name"), op.text("key"), op.number("p50_ms", low=0), op.number("share", low=0, high=1))
        for op in top.sections("ops")
    )
    names = [op.name for op in ops]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise top.error("ops", f"names {twice!r} twice")
    return ops


def read_predicted(fields: Fields) -> Predicted:
    """The prediction section."""
    return Predicted(
        latency_ms=fields.number("latency_ms", low=0),
        interval_ms=fields.interval("interval_ms"),
        table=fields.text("table"),
        error=fields.number("error", low=-1) if fields.has("error") else None,
        peak_rss=fields.integer("peak_rss") if fields.has("peak_rss") else None,
        ops=tuple(map(_read_predicted_op, fields.sections("ops"))) if fields.has("ops") else (),
    )


def _read_predicted_op(op: Fields) -> PredictedOp:
    return PredictedOp(
        name=op.text("name"),
        key=op.text("key"),
        latency_ms=op.number("latency_ms", low=0),
        provenance=op.text("provenance"),
        measured_ms=op.number("measured_ms", low=0) if op.has("measured_ms") else None,
    )


def read_widths(fields: Fields) -> dict[str, int]:
    """Channels by group name."""
    return {name: fields.integer(name) for name in fields.values}


def read_memory(fields: Fields) -> Memory:
    """The memory section."""
    peak_rss = fields.integer("peak_rss") if fields.has("peak_rss") else None
    return Memory(fields.integer("weights"), fields.integer("arena"), peak_rss)
