"""The choice of schedules by measuring: every candidate of a workload runs on the device, the fastest is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hwaware.compiler.choice import Choice, Variant
from hwaware.compiler.kernel import SERIAL
from hwaware.compiler.schedules import candidates, variant
from hwaware.compiler.targets import Target
from hwaware.costs.choices import Choices
from hwaware.costs.row import CellRow
from hwaware.graph.arithmetic import activation_bytes, multiply_adds
from hwaware.graph.workload import Workload
from hwaware.profiling.bench import BUNDLE, Bench, Effort

# A ranking needs fewer samples than a table.
_MIN_TIME_MS, _MIN_COUNT, _MAX_COUNT = 15, 15, 100
# Another schedule than the compiler's guess must be this much faster: choices should not follow noise.
_WORTH = 0.99
# Above this, a launch of the pool (benchmarks/launch.py: half a microsecond here, a few on a board) never costs more
# than a second thread brings.
_SMALL_MULTIPLY_ADDS, _SMALL_BYTES = 500_000, 128 * 1024


@dataclass(frozen=True)
class Tuned:
    """What was chosen for a workload, and what was tried, as it stands in its row; `row` as the choice was measured."""

    choice: Choice
    tried: tuple[str, ...] = ()
    row: CellRow | None = field(default=None, compare=False)


OnProgress = Callable[[int, int, str], object]  # candidates measured, candidates in all, a kind of workload
Options = Callable[[Workload], Sequence[Choice]]


def all_ways(target: Target, threads: int) -> Options:
    """All candidates; with several threads, small work may also stay on one."""
    return lambda workload: _alone(workload, candidates(workload, target), threads)


def settled_ways(target: Target, threads: int, choices: Choices) -> Options:
    """The choice of the nearest measured width and the compiler's guess: what is left of a search that was made."""

    def options(workload: Workload) -> Sequence[Choice]:
        near = variant(workload, target, choices).choice
        return _alone(workload, tuple(dict.fromkeys((near, candidates(workload, target)[0]))), threads)

    return options


def _alone(workload: Workload, found: tuple[Choice, ...], threads: int) -> tuple[Choice, ...]:
    small = multiply_adds(workload) <= _SMALL_MULTIPLY_ADDS and activation_bytes(workload) <= _SMALL_BYTES
    if threads == 1 or not small:
        return found
    return tuple(dict.fromkeys((*found, *(choice.replaced(**{SERIAL: 1}) for choice in found[:2]))))


def batches(workloads: Sequence[Workload], ways: Options) -> list[tuple[list[Workload], int]]:
    """`workloads` in parts, with how many candidates each has: what one part has found is not lost with the next.

    A part has at most as many candidates as are measured in one go, unless workloads that are measured as one have
    more.
    """
    parts: list[tuple[list[Workload], int]] = []
    for group in _alike(workloads):
        count = len(_to_measure(ways(group[0])))
        if parts and parts[-1][1] + count <= BUNDLE:
            parts[-1] = [*parts[-1][0], *group], parts[-1][1] + count
        else:
            parts.append((group, count))
    return parts


def _alike(workloads: Sequence[Workload]) -> list[list[Workload]]:
    """Those together that differ only in the steps after the anchor."""
    groups: dict[str, list[Workload]] = {}
    for workload in workloads:
        groups.setdefault(workload.key.rsplit("|", 1)[0], []).append(workload)
    return list(groups.values())


def _to_measure(options: Sequence[Choice]) -> Sequence[Choice]:
    """Where there is one option, nothing has to be found out."""
    return options if len(options) > 1 else ()


def tune(
    bench: Bench,
    workloads: Sequence[Workload],
    ways: Options,
    on_progress: OnProgress | None = None,
    seed: int = 1,
) -> dict[str, Tuned]:
    """The choice for each workload, by key, measured under the bench's rule with less effort than a table's cell.

    Workloads that differ only in the steps after the anchor are measured once. Raises what `Bench.measure` raises.
    """
    groups = _alike(workloads)
    options = {group[0].key: ways(group[0]) for group in groups}
    variants = [Variant(group[0], choice) for group in groups for choice in _to_measure(options[group[0].key])]
    times: dict[str, dict[str, float]] = {}
    rows: dict[tuple[str, str], CellRow] = {}

    def keep(row: CellRow) -> None:
        # What else runs on the device only adds: the fast tail says more of the code than the median does.
        if row.usable and row.p10_ns is not None:
            times.setdefault(row.key, {})[row.schedule] = row.p10_ns
            rows[row.key, row.schedule] = row
        if on_progress is not None:
            on_progress(sum(map(len, times.values())), len(variants), row.kind)

    replace(bench, effort=lighter(bench.effort), retries=0).measure(variants, keep, seed)
    tuned = {}
    for group in groups:
        first = group[0].key
        result = fastest(options[first], times.get(first, {}))
        tuned.update(dict.fromkeys((workload.key for workload in group), result))
        tuned[first] = replace(result, row=rows.get((first, str(result.choice))))
    return tuned


def lighter(effort: Effort) -> Effort:
    """What suffices to rank candidates."""
    return replace(effort, min_time_ms=_MIN_TIME_MS, min_count=_MIN_COUNT, max_count=_MAX_COUNT)


def fastest(options: Sequence[Choice], times: Mapping[str, float]) -> Tuned:
    """The option with the lowest of `times` (nanoseconds by text), the first one where nothing is clearly faster."""
    known = {choice: times[str(choice)] for choice in options if str(choice) in times}
    tried = tuple(f"{choice}={time:.0f}" for choice, time in sorted(known.items(), key=lambda item: item[1]))
    if not known:
        return Tuned(options[0])
    best = min(known, key=lambda choice: known[choice])
    guess = known.get(options[0])
    return Tuned(options[0] if guess is not None and known[best] > _WORTH * guess else best, tried)
