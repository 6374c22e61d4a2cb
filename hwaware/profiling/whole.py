"""Whole models on the device: every operation in the state that the graph leaves it, and all of them together.

An operation timed alone finds other caches than between its neighbours. So narrower variants of the profiled model
are compiled, run, and timed operation by operation; their rows carry the state ``graph``.
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from hwaware.compiler.artifact import Artifact, write_agent
from hwaware.compiler.choice import Chooser, Variant
from hwaware.compiler.effort import effort
from hwaware.compiler.target import Target
from hwaware.costs.row import GRAPH, UNSTABLE, CellRow, statistics_of
from hwaware.devices.device import Device
from hwaware.errors import AgentError, DeviceError
from hwaware.graph.lower import Program
from hwaware.profiling.bench import MOST_FRUITLESS
from hwaware.profiling.lines import empty_row
from hwaware.profiling.run import RunResult, run_artifact

# Each model is run in turn with the others, so that a slow spell does not fall on one of them; a round that came out
# this much slower than the best is not used and run again, a few times.
_ROUNDS, _AGAIN, _SLOW = 5, 3, 1.04
_MIN_TIME_MS, _MIN_COUNT = 120, 30
_ENOUGH = 3
_GRACE_S = 60.0
# Samples of an operation kept from each round.
_KEPT = 40


@dataclass(frozen=True)
class WholeRun:
    """A model as it was measured: nanoseconds of the whole, bytes, and a row for each of its operations.

    `sum_ns` is that of its operations' medians, `ci95_ns` the interval of the median of the whole.
    """

    name: str
    program: Program
    latency_ns: float
    ci95_ns: tuple[float, float]
    sum_ns: float
    weights: int
    arena: int
    peak_rss: int | None
    rows: tuple[CellRow, ...]


@dataclass(frozen=True)
class WholeBench:
    """Measures whole programs on a device whose lease is held."""

    device: Device
    target: Target
    threads: int
    protocol: str
    chooser: Chooser

    def measure(self, programs: Mapping[str, Program], seed: int) -> list[WholeRun]:
        """Compile `programs`, by name, and run each in turn. Raises BuildError, DeviceError."""
        with tempfile.TemporaryDirectory(prefix="hwaware-") as scratch:
            folders = {name: Path(scratch) / f"model{index}" for index, name in enumerate(programs)}
            jobs = min(len(programs), len(os.sched_getaffinity(0)))
            built = Parallel(n_jobs=jobs)(
                delayed(_build)(program, self.target, folders[name], self.chooser) for name, program in programs.items()
            )
            agents = {name: self._artifact(name, folders[name]) for name in programs}
            runs = self._run(agents, seed)
        return [
            self._whole(name, program, choices, runs[name])
            for (name, program), choices in zip(programs.items(), built, strict=True)
        ]

    def _artifact(self, name: str, folder: Path) -> Artifact:
        manifest = {"model": name, "target": self.target.identity(), "inputs": [], "outputs": []}
        return Artifact(folder, manifest)

    def _run(self, agents: Mapping[str, Artifact], seed: int) -> dict[str, list[RunResult]]:
        runs: dict[str, list[RunResult]] = {name: [] for name in agents}
        transport = self.device.transport
        # Used once: among the lease's files, so that they go even if this process is killed.
        places = {name: transport.push_file(one.agent, one.path.name, program=True) for name, one in agents.items()}
        order = random.Random(seed)  # noqa: S311 - the order of measuring is no secret
        rounds = 1 if self.protocol == "as-shipped" else _ROUNDS
        for number in range(rounds + _AGAIN):
            # After the planned rounds only those that had too few good ones.
            names = [name for name, done in runs.items() if number < rounds or len(_good(done)) < min(rounds, _ENOUGH)]
            order.shuffle(names)
            for name in names:
                runs[name].append(self._run_once(agents[name], places[name], seed + number))
        # If the device is lost now, all was measured.
        with contextlib.suppress(DeviceError):
            transport.run(["rm", "-f", *places.values()], timeout=_GRACE_S)
        return runs

    def _run_once(self, artifact: Artifact, place: str, seed: int) -> RunResult:
        """One run; an agent that dies is started again."""
        for attempt in range(MOST_FRUITLESS):
            try:
                return run_artifact(
                    artifact,
                    self.device,
                    threads=self.threads,
                    per_op=True,
                    protocol=self.protocol,
                    min_time_ms=_MIN_TIME_MS,
                    min_count=_MIN_COUNT,
                    seed=seed,
                    pushed=place,
                )
            except AgentError:
                if attempt == MOST_FRUITLESS - 1:
                    raise
        raise AssertionError("unreachable")

    def _whole(
        self, name: str, program: Program, choices: Mapping[str, Variant], runs: Sequence[RunResult]
    ) -> WholeRun:
        good = _good(runs)
        whole = statistics_of([sample for run in good for sample in _thinned(run.samples_ns)])
        by_key: dict[str, list[float]] = {}
        for run in good:
            for op in run.ops:
                by_key.setdefault(op.key, []).extend(_thinned(op.samples_ns))
        rows = {key: self._row(choices[key], samples, good) for key, samples in by_key.items()}
        latency = float(np.median([np.median(run.samples_ns) for run in good]))
        peaks = [run.peak_rss for run in runs if run.peak_rss is not None]
        return WholeRun(
            name=name,
            program=program,
            latency_ns=latency,
            ci95_ns=(min(latency, whole["ci95_low_ns"]), max(latency, whole["ci95_high_ns"])),
            sum_ns=sum(rows[op.workload.key].p50_ns or 0.0 for op in program.ops),
            weights=runs[0].weights,
            arena=runs[0].arena,
            peak_rss=int(np.median(peaks)) if peaks else None,
            rows=tuple(rows.values()),
        )

    def _row(self, chosen: Variant, samples: Sequence[float], runs: Sequence[RunResult]) -> CellRow:
        row = empty_row(chosen, self.threads)
        counts = effort(chosen.workload, self.target, chosen.choice)
        around = _conditions(runs)
        slow = "; ".join(dict.fromkeys(reason for run in runs if (reason := run.around.slowed())))
        state: dict[str, Any] = {"status": UNSTABLE, "reason": slow} if slow else {}
        # At least a tenth of a nanosecond: a coarse clock may not have moved during an operation.
        statistics = statistics_of([max(sample, 0.1) for sample in samples])
        return replace(
            row, state=GRAPH, counts=tuple(float(count) for count in counts), **statistics, **around, **state
        )


def _build(program: Program, target: Target, folder: Path, chooser: Chooser) -> dict[str, Variant]:
    """Write the executable; which schedule each workload was given, by its key."""
    folder.mkdir(parents=True)
    assembled = write_agent(program, target, folder, folder.name, chooser)
    return {kernel.workload.key: kernel.variant for kernel in assembled.kernels}


def _good(runs: Sequence[RunResult]) -> list[RunResult]:
    """Those that were not measured in a slow spell."""
    medians = [float(np.median(run.samples_ns)) for run in runs]
    best = min(medians, default=0.0)
    return [run for run, median in zip(runs, medians, strict=True) if median <= _SLOW * best]


def _thinned(samples: Sequence[float]) -> list[float]:
    """At most `_KEPT` of the samples, evenly over the time of measuring."""
    if len(samples) <= _KEPT:
        return list(samples)
    return [samples[index] for index in np.linspace(0, len(samples) - 1, _KEPT).astype(int)]


def _conditions(runs: Sequence[RunResult]) -> dict[str, Any]:
    """The columns that say in which conditions the runs were, first to last."""
    first, last = asdict(runs[0].around), asdict(runs[-1].around)
    flags = dict.fromkeys(flag for run in runs for flag in run.around.throttle.split("+") if flag)
    return {
        "khz_before": first["khz_before"],
        "khz_after": last["khz_after"],
        "milli_c_before": first["milli_c_before"],
        "milli_c_after": last["milli_c_after"],
        "involuntary_switches": sum(run.around.involuntary_switches for run in runs),
        "load1": last["load1"],
        "throttle": "+".join(flags),
        "inner": 1,
    }
