"""A LatencyReport of an artifact on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwaware.compiler.artifact import Artifact
from hwaware.devices.device import Device
from hwaware.devices.measuring import measuring_modes
from hwaware.profiling.conditions import device_conditions
from hwaware.profiling.run import RunResult, run_artifact
from hwaware.profiling.settings import cores_of
from hwaware.reports.audit import compared, stored_prediction
from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.parts import Memory, op_latencies


def report_of(artifact: Artifact, device: Device, result: RunResult) -> LatencyReport:
    """The report of one run; accuracy, widths and prediction come from what the artifact carries.

    A prediction for other conditions (threads, protocol) is none of this run. Raises ArtifactError for a damaged one.
    """
    facts = result.facts
    extra = artifact.manifest.get("extra") or {}
    widths = extra.get("widths")
    report = LatencyReport.from_samples(
        result.samples_ns,
        model=artifact.model,
        device={**facts.as_dict(), "name": device.name, "fingerprint": facts.fingerprint()["sha256"]},
        toolchain=artifact.manifest["toolchain"],
        conditions=conditions(result),
        protocol=result.protocol,
        threads=result.threads,
        memory_bytes=Memory(result.weights, result.arena, result.peak_rss),
        cold_ns=result.cold_ns,
        ops=op_latencies([(op.name, op.key, op.samples_ns) for op in result.ops]) if result.ops else (),
        warnings=warnings(result),
        accuracy=extra.get("accuracy"),
        widths=widths if isinstance(widths, Mapping) else None,
    )
    stored = stored_prediction(artifact)
    if stored is None or stored.other_run(report.threads, report.protocol, report.conditions.get("cores")) is not None:
        return report
    return replace(report, predicted=compared(stored, report))


def conditions(result: RunResult) -> dict[str, Any]:
    """The machine's state around the run; `governor` is the one the run found and left, not the one during it."""
    return {**device_conditions(result.facts, result.around.lock), **result.state}


def warnings(result: RunResult) -> list[str]:
    """What a reader of the figures must know, and what to do about it."""
    found = []
    if result.facts.emulated:
        found.append("the agent ran under an emulator: these times say nothing about a real device")
    if result.state["load1"] > len(result.facts.cpus):
        load, cpus = result.state["load1"], len(result.facts.cpus)
        found.append(f"load average {load:.1f} with {cpus} CPUs: stop other work, run again")
    slowed = result.around.slowed()
    if slowed:
        found.append(f"{slowed}: cool it, check its power supply, run again")
    if not result.state["converged"]:
        found.append("the warm-up did not settle: the machine is busy or throttling, run again")
    return found


def measure(
    artifact: Artifact,
    device: Device,
    *,
    threads: int = 1,
    inputs: Sequence[np.ndarray] | None = None,
    per_op: bool = True,
    protocol: str = "pinned",
    min_time_ms: int | None = None,
    cores: str | None = None,
) -> LatencyReport:
    """Run `artifact` on `device` and report its latency, per-op times and memory.

    `cores`: a cluster of its cores, such as "little", by default the fastest; with protocol "pinned" alone.
    """
    result = run_artifact(
        artifact,
        device,
        threads=threads,
        inputs=inputs,
        per_op=per_op,
        protocol=protocol,
        min_time_ms=min_time_ms,
        cores=cores_of(device, cores, threads, protocol),
    )
    return report_of(artifact, device, result)


def measure_in_turn(
    artifacts: Sequence[Artifact],
    device: Device,
    *,
    threads: int = 1,
    rounds: int = 5,
    min_time_ms: int = 300,
) -> list[LatencyReport]:
    """Measure several artifacts in turn, A B A B …, so that a machine whose speed drifts drifts for all of them.

    A report holds the samples of all its rounds; operations are timed in the last round.
    """
    runs = _in_turn(artifacts, device, threads, rounds, min_time_ms, per_op=True)
    reports = []
    for artifact, done in zip(artifacts, runs, strict=True):
        samples = tuple(sample for result in done for sample in result.samples_ns)
        merged = replace(done[-1], samples_ns=samples, cold_ns=done[0].cold_ns)
        told = dict.fromkeys(warning for result in done for warning in warnings(result))
        reports.append(replace(report_of(artifact, device, merged), warnings=tuple(told)))
    return reports


def medians_in_turn(
    artifacts: Sequence[Artifact], device: Device, *, threads: int = 1, rounds: int = 15, min_time_ms: int = 80
) -> list[float]:
    """Median milliseconds of several artifacts whose ratios matter: many short rounds, each compared with the first's.

    A round on a slowed down machine is slow for all of them, and one that struck a single artifact is outvoted.
    """
    runs = _in_turn(artifacts, device, threads, rounds, min_time_ms, per_op=False)
    medians = np.array([[np.median(result.samples_ns) for result in done] for done in runs])
    first = float(np.median(medians[0])) / 1e6
    return [first * float(np.median(row / medians[0])) for row in medians]


def _in_turn(
    artifacts: Sequence[Artifact], device: Device, threads: int, rounds: int, min_time_ms: int, *, per_op: bool
) -> list[list[RunResult]]:
    """By artifact the result of each round; with `per_op` the last one times operations too."""
    runs: list[list[RunResult]] = [[] for _ in artifacts]
    # Held over all rounds: otherwise each run would set and undo the device's modes.
    with measuring_modes(device) as modes:
        for number in range(rounds):
            modes.settle()
            for artifact, done in zip(artifacts, runs, strict=True):
                timed = per_op and number == rounds - 1
                result = run_artifact(
                    artifact, device, threads=threads, per_op=timed, min_time_ms=min_time_ms, min_count=50
                )
                done.append(result)
    return runs
