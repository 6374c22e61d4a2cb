"""Whole models on the device: every operation in the state that the graph leaves it, and all of them together.

An operation timed alone finds other caches than between its neighbours. So narrower variants of the profiled model
are compiled, run, and timed operation by operation; their rows carry the state ``graph``.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwaware.compiler.artifact import Artifact, write_agent
from hwaware.compiler.choice import Chooser, Variant
from hwaware.compiler.target import Target
from hwaware.compiler.workers import in_processes, processes
from hwaware.devices.clusters import FASTEST, Cores
from hwaware.devices.device import Device
from hwaware.devices.measuring import Modes
from hwaware.errors import AgentError, DeviceError
from hwaware.graph.lower import Program
from hwaware.profiling.bench import MOST_FRUITLESS
from hwaware.profiling.calm import Witness
from hwaware.profiling.conditions import NOT_CALM
from hwaware.profiling.run import RunResult, run_artifact
from hwaware.profiling.spells import ENOUGH, wanting
from hwaware.profiling.whole_run import WholeRun, whole_run

# Each model is run in turn with the others, in short runs, so that a slow spell falls on few of one model's; where it
# fell on too many there are some more.
_ROUNDS, _AGAIN = 6, 4
# How often it is run again with the next models.
_LOOKS = 2
_MIN_TIME_MS, _MIN_COUNT = 40, 20
_GRACE_S = 60.0


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

    A slow spell of the machine may be longer than a round, so each program is run again along with the next ones. Runs
    that found no calm moments do not count; `witness` has heard what tells them.
    """

    device: Device
    target: Target
    threads: int
    protocol: str
    chooser: Chooser
    witness: Witness = field(default_factory=Witness)
    cores: Cores = FASTEST
    modes: Modes = field(default_factory=Modes)
    _last: dict[str, _Model] = field(default_factory=dict, repr=False)

    def measure(self, programs: Mapping[str, Program], seed: int) -> list[WholeRun]:
        """Compile `programs`, by name, and run each in turn with those of the call before.

        All of them are in the answer, the earlier ones with all their runs. Raises BuildError, DeviceError.
        """
        shipped = self.protocol == "as-shipped"
        if not programs and (shipped or not self._last):
            return []
        before = {} if shipped else self._last
        with tempfile.TemporaryDirectory(prefix="hwaware-") as scratch:
            made = self._made({name: one for name, one in programs.items() if name not in before}, Path(scratch))
        planned = dict.fromkeys(made, 1 if shipped else _ROUNDS)
        planned |= {name: len(model.runs) + _LOOKS for name, model in before.items()}
        models = made | before
        self._passes(models, planned, seed)
        # Programs that are asked for again, as none of their runs was to be relied on, stay.
        kept = {name: model for name, model in models.items() if name in programs}
        self._forget({model.place for model in kept.values()})
        self._last = kept
        return [self._whole(name, model) for name, model in models.items()]

    def _passes(self, models: Mapping[str, _Model], planned: Mapping[str, int], seed: int) -> None:
        """Run each model as often as is planned, and those that too few runs agree on some times more."""
        order = random.Random(seed)  # noqa: S311 - the order of measuring is no secret
        for number in range(_ROUNDS + _AGAIN):
            names = [name for name, model in models.items() if self._wanting(model, planned[name])]
            order.shuffle(names)
            if names:
                self.modes.settle()
            for name in names:
                run = self._run_once(models[name], seed + number)
                self.witness.hear(run.around)
                models[name].runs.append(run)

    def _wanting(self, model: _Model, planned: int) -> bool:
        if len(model.runs) < planned:
            return True
        # As shipped everything counts: nothing is gained by another run.
        return self.protocol != "as-shipped" and wanting([run.samples_ns for run in _calm(model)], min(planned, ENOUGH))

    def _whole(self, name: str, model: _Model) -> WholeRun:
        # With no better ones, those of other moments: their rows are marked.
        runs = _calm(model) or model.runs
        reason = "" if _calm(model) else NOT_CALM
        return whole_run(name, model.program, model.choices, runs, self.target, self.threads, reason)

    def again(self, seed: int) -> list[WholeRun]:
        """Run those of the last call once more. Raises DeviceError."""
        return self.measure({}, seed)

    def _made(self, programs: Mapping[str, Program], scratch: Path) -> dict[str, _Model]:
        if not programs:
            return {}
        folders = {name: scratch / f"model{index}" for index, name in enumerate(programs)}
        asked = ((program, self.target, folders[name], self.chooser) for name, program in programs.items())
        built = in_processes(min(len(programs), processes()), _build, asked)
        made = {}
        for (name, program), choices in zip(programs.items(), built, strict=True):
            manifest = {"model": name, "target": self.target.identity(), "inputs": [], "outputs": []}
            artifact = Artifact(folders[name], manifest)
            # Among the lease's files, so that they go even if this process is killed.
            place = self.device.transport.push_file(artifact.agent, f"{name}-{artifact.path.name}", program=True)
            made[name] = _Model(program, choices, artifact, place)
        return made

    def _forget(self, kept: Collection[str]) -> None:
        """Take the last call's executables off the device, but those `kept`."""
        places = [model.place for model in self._last.values() if model.place not in kept]
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
                    calm=self.witness.calm,
                    cores=self.cores,
                )
            except AgentError:
                if attempt == MOST_FRUITLESS - 1:
                    raise
        raise AssertionError("unreachable")


def _calm(model: _Model) -> list[RunResult]:
    """Those of its runs that found calm moments, or were not asked to."""
    return [run for run in model.runs if run.around.calm is not False]


def _build(program: Program, target: Target, folder: Path, chooser: Chooser) -> dict[str, Variant]:
    """Write the executable; which schedule each workload was given, by its key."""
    folder.mkdir(parents=True)
    assembled = write_agent(program, target, folder, folder.name, chooser)
    return {kernel.workload.key: kernel.variant for kernel in assembled.kernels}
