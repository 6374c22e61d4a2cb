"""Run an artifact on its device: push it, measure it there, bring back samples and outputs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hwaware.compiler.artifact import Artifact
from hwaware.devices.clusters import FASTEST, Cores
from hwaware.devices.device import Device
from hwaware.devices.facts import DeviceFacts
from hwaware.devices.measuring import measuring_modes
from hwaware.devices.schema import Fields
from hwaware.errors import ModelError
from hwaware.profiling.answer import output_array, run_and_ops
from hwaware.profiling.calm import Calm
from hwaware.profiling.surroundings import Surroundings
from hwaware.profiling.target import check_runs_on, device_facts

# How long to wait for another user of the device, and for the run beyond its own time-out.
_LEASE_WAIT_S = 300.0
_GRACE_S = 60.0
_COOL_S = 60.0
# As a product runs: MLPerf Mobile's least time and samples. More samples than the statistics need are thinned out.
SHIPPED_MS, SHIPPED_COUNT = 60_000, 1_024
_PINNED_MS, _PINNED_COUNT = 1_000, 100


@dataclass(frozen=True)
class OpSamples:
    """One operation timed within the whole: nanoseconds a call."""

    name: str
    key: str
    samples_ns: tuple[float, ...]


@dataclass(frozen=True)
class RunResult:
    """What one run gave: nanoseconds a call, bytes of memory, outputs in the model's order.

    `state` is what a report keeps of the device's state while it was measured, `around` what can be judged of it.
    """

    facts: DeviceFacts
    threads: int
    protocol: str
    samples_ns: tuple[float, ...]
    cold_ns: float
    weights: int
    arena: int
    peak_rss: int | None
    state: dict[str, Any]
    around: Surroundings
    ops: tuple[OpSamples, ...] = ()
    outputs: tuple[np.ndarray, ...] = field(default=(), repr=False)


def protocol_arguments(protocol: str, min_time_ms: int | None, min_count: int | None) -> tuple[list[str], int, int]:
    """The agent's options for a protocol, and the least milliseconds and samples under it."""
    if protocol == "as-shipped":
        return ["--no-pin", "--thin"], max(SHIPPED_MS, min_time_ms or 0), max(SHIPPED_COUNT, min_count or 0)
    time_ms = _PINNED_MS if min_time_ms is None else min_time_ms
    return ["--lock-frequency"], time_ms, _PINNED_COUNT if min_count is None else min_count


def _state(run: Fields, around: Surroundings) -> dict[str, Any]:
    told = asdict(around)
    for name in ("lock", "sentinels_ns", "meetings_ns", "governor"):
        told.pop(name)
    before, after = around.sentinels_ns
    met_before, met_after = around.meetings_ns or (None, None)
    return {
        "cpus": list(run.integers("cpus")),
        "pinned": run.boolean("pinned"),
        "converged": run.boolean("converged"),
        "stride": run.integer("stride", least=1),
        "governor_during": around.governor,
        "sentinel_before_ns": before,
        "sentinel_after_ns": after,
        "meeting_before_ns": met_before,
        "meeting_after_ns": met_after,
        **around.lock.state(),
        **told,
    }


def check_inputs(artifact: Artifact, inputs: Sequence[np.ndarray]) -> None:
    """Raise ModelError, saying what is expected, for inputs the model does not take."""
    wanted = artifact.manifest["inputs"]
    if len(inputs) != len(wanted):
        raise ModelError(f"{artifact.model} takes {len(wanted)} inputs, {len(inputs)} were given")
    for array, spec in zip(inputs, wanted, strict=True):
        shape, dtype = tuple(spec["shape"]), spec["dtype"]
        if array.shape != shape or str(array.dtype) != dtype:
            raise ModelError(
                f"input {spec['name']} of {artifact.model} is {dtype} {shape}, given was {array.dtype} {array.shape}"
            )


def run_artifact(
    artifact: Artifact,
    device: Device,
    *,
    threads: int = 1,
    inputs: Sequence[np.ndarray] | None = None,
    per_op: bool = False,
    protocol: str = "pinned",
    min_time_ms: int | None = None,
    min_count: int | None = None,
    seed: int = 1,
    pushed: str | None = None,
    calm: Calm | None = None,
    cores: Cores = FASTEST,
) -> RunResult:
    """Measure `artifact` on `device` under the device's lease.

    Without `inputs` the agent fills them at random. ``pinned`` keeps each thread on a CPU of its own, at a fixed
    frequency where the device lets us, for `min_time_ms` and `min_count` samples. ``as-shipped`` leaves threads and
    frequency to the system and measures for at least 60 s and 1024 samples (MLPerf Mobile), or more if asked to.
    `pushed` is where the agent is on the device already. With `calm` samples that were not taken in calm moments are
    taken again, if the protocol is not ``as-shipped``, for about a second. `cores` go with protocol ``pinned`` alone.
    """
    check_runs_on(artifact, device)
    facts = device_facts(device)
    if inputs is not None:
        check_inputs(artifact, inputs)
    protocol_words, time_ms, count = protocol_arguments(protocol, min_time_ms, min_count)
    # A slow model needs its time: for each sample, and each timing of its operations, up to 10 s.
    timeout_ms = min(86_400_000, max(600_000, 20 * time_ms, 10_000 * count * (1 + per_op)))
    transport = device.transport
    with (
        measuring_modes(device, fixed=protocol != "as-shipped") as modes,
        transport.lease(wait=_LEASE_WAIT_S),
        tempfile.TemporaryDirectory() as scratch,
    ):
        agent = transport.push(artifact.agent) if pushed is None else pushed
        argv = [agent, "run", "--threads", str(threads), "--min-time-ms", str(time_ms), "--min-count", str(count)]
        argv += ["--timeout-ms", str(timeout_ms), "--seed", str(seed), "--cool-ms", str(int(_COOL_S * 1000))]
        argv += [*protocol_words, *cores.arguments()]
        if per_op:
            argv.append("--per-op")
        if calm is not None and protocol != "as-shipped":
            argv += calm.arguments()
        outputs: list[str] = []
        if inputs is not None:
            for index, array in enumerate(inputs):
                local = Path(scratch) / f"input{index}.npy"
                np.save(local, np.ascontiguousarray(array), allow_pickle=False)
                argv += ["--input", transport.push_file(local, local.name)]
            outputs = [transport.work_path(f"output{i}.npy") for i in range(len(artifact.manifest["outputs"]))]
            for path in outputs:
                argv += ["--output", path]
        done = transport.run(argv, timeout=timeout_ms / 1000 + _COOL_S + _GRACE_S)
        result = run_and_ops(done.stdout, done.returncode, done.stderr, device.name)
        arrays = []
        for index, remote in enumerate(outputs):
            local = Path(scratch) / f"output{index}.npy"
            transport.pull(remote, local)
            arrays.append(output_array(local, artifact.manifest["outputs"][index], device.name))
    run, ops = result
    memory = run.section("memory")
    around = Surroundings.read(run)
    return RunResult(
        facts=facts,
        threads=threads,
        protocol=protocol,
        samples_ns=run.numbers("samples_ns"),
        cold_ns=run.number("cold_ns"),
        weights=memory.integer("weights"),
        arena=memory.integer("arena"),
        peak_rss=memory.integer_or_none("peak_rss"),
        state={**_state(run, around), **cores.conditions(), **modes.conditions},
        around=around,
        ops=tuple(OpSamples(op.word("name"), op.text("key"), op.numbers("samples_ns")) for op in ops),
        outputs=tuple(arrays),
    )
