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
from dataclasses import asdict, dataclass, field, replace
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
from hwaware.profiling.spells import undisturbed, wanting

# Each model is run in turn with the others, in short runs, so that a slow spell falls on few of one model's; where it
# fell on too many there are some more.
_ROUNDS, _AGAIN = 6, 5
# How often it is run again with the next models.
_LOOKS = 2
_MIN_TIME_MS, _MIN_COUNT = 80, 20
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


@dataclass
class _Model:
    """A compiled program on the device: its schedules by workload, where its executable is, its runs so far."""

    program: Program
    choices: Mapping[str, Variant]
    artifact: Artifact
    place: str
    runs: list[RunResult] = field(default_factory=list)


@dataclass
class WholeBench:
    """Measures whole programs on a device whose lease is held.

    Each is run again along with the next ones: a spell in which the machine is slow may be longer than one round.
    """

    device: Device
    target: Target
    threads: int
    protocol: str
    chooser: Chooser
    _last: dict[str, _Model] = field(default_factory=dict, repr=False)

    def measure(self, programs: Mapping[str, Program], seed: int) -> list[WholeRun]:
        """Compile `programs`, by name, and run each in turn with those of the call before.

        All of them are in the answer, the earlier ones with all their runs. Raises BuildError, DeviceError.
        """
        with tempfile.TemporaryDirectory(prefix="hwaware-") as scratch:
            made = self._made(programs, Path(scratch))
        shipped = self.protocol == "as-shipped"
        before = {} if shipped else self._last
        planned = dict.fromkeys(made, 1 if shipped else _ROUNDS)
        planned |= {name: len(model.runs) + _LOOKS for name, model in before.items()}
        models = made | before
        order = random.Random(seed)  # noqa: S311 - the order of measuring is no secret
        for number in range(_ROUNDS + _AGAIN):
            names = [name for name, model in models.items() if wanting(model.runs, _median, planned[name])]
            order.shuffle(names)
            for name in names:
                models[name].runs.append(self._run_once(models[name], seed + number))
        self._forget()
        self._last = made
        return [self._whole(name, model) for name, model in models.items()]

    def again(self, seed: int) -> list[WholeRun]:
        """Run those of the last call once more. Raises DeviceError."""
        return self.measure({}, seed)

    def _made(self, programs: Mapping[str, Program], scratch: Path) -> dict[str, _Model]:
        if not programs:
            return {}
        folders = {name: scratch / f"model{index}" for index, name in enumerate(programs)}
        jobs = min(len(programs), len(os.sched_getaffinity(0)))
        built = Parallel(n_jobs=jobs)(
            delayed(_build)(program, self.target, folders[name], self.chooser) for name, program in programs.items()
        )
        made = {}
        for (name, program), choices in zip(programs.items(), built, strict=True):
            manifest = {"model": name, "target": self.target.identity(), "inputs": [], "outputs": []}
            artifact = Artifact(folders[name], manifest)
            # Among the lease's files, so that they go even if this process is killed.
            place = self.device.transport.push_file(artifact.agent, f"{name}-{artifact.path.name}", program=True)
            made[name] = _Model(program, choices, artifact, place)
        return made

    def _forget(self) -> None:
        """Take the last call's executables off the device."""
        places = [model.place for model in self._last.values()]
        # If the device is lost now, all was measured.
        with contextlib.suppress(DeviceError):
            if places:
                self.device.transport.run(["rm", "-f", *places], timeout=_GRACE_S)

    def _run_once(self, model: _Model, seed: int) -> RunResult:
        """One run; an agent that dies is started again."""
        for attempt in range(MOST_FRUITLESS):
            try:
                return run_artifact(
                    model.artifact,
                    self.device,
                    threads=self.threads,
                    per_op=True,
                    protocol=self.protocol,
                    min_time_ms=_MIN_TIME_MS,
                    min_count=_MIN_COUNT,
                    seed=seed,
                    pushed=model.place,
                )
            except AgentError:
                if attempt == MOST_FRUITLESS - 1:
                    raise
        raise AssertionError("unreachable")

    def _whole(self, name: str, model: _Model) -> WholeRun:
        program, runs = model.program, model.runs
        good = undisturbed(runs, _median)
        # Operations are timed in a pass of their own.
        good_ops = undisturbed(runs, _sum)
        whole = statistics_of([sample for run in good for sample in _thinned(run.samples_ns)])
        by_key: dict[str, list[float]] = {}
        for run in good_ops:
            for op in run.ops:
                by_key.setdefault(op.key, []).extend(_thinned(op.samples_ns))
        rows = {key: self._row(model.choices[key], samples, good_ops) for key, samples in by_key.items()}
        latency = float(np.median([_median(run) for run in good]))
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
        counts = effort(chosen.workload, self.target, chosen.choice, self.threads)
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


def _median(run: RunResult) -> float:
    return float(np.median(run.samples_ns))


def _sum(run: RunResult) -> float:
    return sum(float(np.median(op.samples_ns)) for op in run.ops)


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
