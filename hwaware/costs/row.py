"""One measured cell, as a row of ``cells.csv``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from hwaware.compiler.cuda.names import PREFIX
from hwaware.compiler.target import CPU, GPU
from hwaware.statistics import summarise

OK, UNSTABLE, THROTTLED, FAILED = "ok", "unstable", "throttled", "failed"
# Where a kernel was timed: by itself, other memory displacing it, or as part of a whole model.
ALONE, GRAPH = "alone", "graph"
STATUSES = (OK, UNSTABLE, THROTTLED, FAILED)
Deviation: TypeAlias = float  # a ratio less 1, of either sign


@dataclass(frozen=True)
class CellRow:
    """What was measured of one workload; times are nanoseconds a call, None where there is nothing to tell.

    `status` is ``ok``, ``unstable`` or ``throttled`` (usable with care: `reason` says why), or ``failed`` (no times).
    `ci95_*` is the interval of the median `p50_ns`; `cold_ns` the very first call; `retries` how often the cell was
    measured before. `throttle` are the agent's flags (see its protocol) joined by ``+``, empty when none or unknown;
    `sentinel_drift` is how much longer the agent's sentinel took around this cell than in the bench's median, of
    before and after the one nearer to it.
    `schedule` is the choice the kernel was written by; `state` whether it was timed ``alone``, after `displace_kb` of
    other memory, or within the ``graph`` of a model; `counts` what it has to do (`compiler.effort.NAMES`); `tried` what
    was measured before it was chosen, each ``choice=nanoseconds``. `samples_ns` are samples in the order of measuring,
    each the mean of `inner` calls back to back.
    """

    key: str
    family: str
    kind: str
    coordinates: tuple[int, ...]
    threads: int
    status: str
    reason: str = ""
    retries: int = 0
    n: int = 0
    min_ns: float | None = None
    p10_ns: float | None = None
    p50_ns: float | None = None
    p90_ns: float | None = None
    p99_ns: float | None = None
    mad_ns: float | None = None
    ci95_low_ns: float | None = None
    ci95_high_ns: float | None = None
    cold_ns: float | None = None
    weight_bytes: int | None = None
    arg_bytes: int | None = None
    workspace_bytes: int | None = None
    peak_rss_delta_bytes: int | None = None
    khz_before: int | None = None
    khz_after: int | None = None
    milli_c_before: int | None = None
    milli_c_after: int | None = None
    involuntary_switches: int | None = None
    load1: float | None = None
    throttle: str = ""
    sentinel_drift: Deviation | None = None
    inner: int | None = None
    schedule: str = ""
    state: str = ALONE
    displace_kb: int | None = None
    counts: tuple[float, ...] = ()
    tried: tuple[str, ...] = ()
    samples_ns: tuple[float, ...] = ()

    @property
    def identity(self) -> tuple[str, str, str]:
        """What no two rows of a table share."""
        return self.key, self.state, self.unit

    @property
    def unit(self) -> str:
        """What computed, ``cpu`` or ``gpu``: the schedule says."""
        return GPU if self.schedule.startswith(PREFIX) else CPU

    @property
    def usable(self) -> bool:
        """Whether there is a time to answer with."""
        return self.status != FAILED


def statistics_of(samples_ns: Sequence[float]) -> dict[str, Any]:
    """The columns that follow from the samples. ValueError where those are no latencies."""
    summary = summarise(samples_ns)
    columns = {f"{name}_ns": getattr(summary, name) for name in ("min", "p10", "p50", "p90", "p99", "mad")}
    low, high = summary.ci95
    columns |= {"ci95_low_ns": low, "ci95_high_ns": high}
    rounded: dict[str, Any] = {name: round(value, 2) for name, value in columns.items()}
    return rounded | {"n": summary.n, "samples_ns": tuple(round(sample, 1) for sample in samples_ns)}


COLUMNS = tuple(field.name for field in fields(CellRow))


def to_fields(row: CellRow) -> list[str]:
    """The row's fields in the order of `COLUMNS`; lists are joined by semicolons."""
    return [_out(getattr(row, name)) for name in COLUMNS]


def _out(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ";".join(str(item) for item in value)
    return str(value)


def from_fields(values: Sequence[str]) -> CellRow:
    """Parse and check one row. ValueError says which field is wrong."""
    if len(values) != len(COLUMNS):
        raise ValueError(f"it has {len(values)} fields, not {len(COLUMNS)}")
    named = dict(zip(COLUMNS, values, strict=True))
    row = CellRow(**{name: _parse(name, text) for name, text in named.items()})
    if row.state not in (ALONE, GRAPH):
        raise ValueError(f"state is {row.state[:40]!r}, neither {ALONE} nor {GRAPH}")
    if row.status not in STATUSES:
        raise ValueError(f"status is {row.status[:40]!r}, not one of {', '.join(STATUSES)}")
    if not row.key or not row.family or not row.coordinates or min(row.coordinates) < 0:
        raise ValueError("key, family or coordinates are missing")
    if row.usable:
        _check_times(row)
    return row


def _check_times(row: CellRow) -> None:
    order = [row.min_ns, row.p10_ns, row.p50_ns, row.p90_ns, row.p99_ns]
    times = [time for time in order if time is not None]
    if len(times) != len(order) or times != sorted(times) or times[0] <= 0:
        raise ValueError("min_ns to p99_ns are not times in ascending order")
    if row.ci95_low_ns is None or row.ci95_high_ns is None or row.ci95_low_ns > row.ci95_high_ns:
        raise ValueError("ci95_low_ns and ci95_high_ns are no interval")
    if row.n < 1 or row.n != len(row.samples_ns):
        raise ValueError(f"n is {row.n}, but there are {len(row.samples_ns)} samples")


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError("out of range")
    return number


def _time(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number < 0:
        raise ValueError("no time")
    return number


def _deviation(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number <= -1:
        raise ValueError("no ratio less 1")
    return number


def _optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: parse(text) if text else None


def _many(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: tuple(parse(item) for item in text.split(";")) if text else ()


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": _integer,
    "int | None": _optional(_integer),
    "float | None": _optional(_time),
    "Deviation | None": _optional(_deviation),
    "tuple[int, ...]": _many(_integer),
    "tuple[str, ...]": _many(str),
    "tuple[float, ...]": _many(_time),
}
_TYPES = {field.name: str(field.type) for field in fields(CellRow)}


def _parse(name: str, text: str) -> Any:
    try:
        return _PARSERS[_TYPES[name]](text)
    except ValueError as error:
        raise ValueError(f"{name} is {text[:40]!r}") from error
