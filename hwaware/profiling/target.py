"""Which target a device is: from its own facts, never more than it says it has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwaware.compiler.artifact import Artifact
from hwaware.compiler.cuda.target import CudaTarget, cuda_target
from hwaware.compiler.link import bare_agent
from hwaware.compiler.target import CPU, GPU
from hwaware.compiler.targets import Target, for_integers, restored_target, target_for, unit_of
from hwaware.compiler.tvm_agent import bare_tvm_agent
from hwaware.devices.device import Device
from hwaware.devices.facts import DeviceFacts
from hwaware.devices.gpu import ANY_MACHINE
from hwaware.errors import ArtifactError, BuildError, DeviceError

UNITS = (CPU, GPU)


def device_facts(device: Device) -> DeviceFacts:
    """What the device says it is, asked once a connection."""
    return device.facts(_agent_for)


def _agent_for(machine: str) -> Path:
    return bare_tvm_agent() if machine == ANY_MACHINE else bare_agent(machine)


def target_of(
    device: Device, unit: str | None = None, *, integers: bool = False, like: Mapping[str, Any] | None = None
) -> Target:
    """The code generation target of `device`, of its processor or of its GPU.

    By default of the GPU where it is part of the chip, as on a Jetson: nobody buys one for its processor. With
    `integers` it has the device's instructions for 8-bit integers; likewise where it is to be `like` one (an identity
    in a table) that has. Raises DeviceError where there is none, BuildError.
    """
    facts = device_facts(device)
    host = target_for(facts.arch, frozenset(facts.features), facts.data_caches(), facts.cpu_model)
    gpu = facts.gpu
    chosen = unit or (GPU if gpu is not None and gpu.integrated else CPU)
    if chosen not in UNITS:
        raise DeviceError(f"no unit is called {chosen[:20]!r}: choose one of {', '.join(UNITS)}")
    if chosen == CPU:
        extended = for_integers(host, frozenset(facts.features))
        return extended if integers or like == extended.identity() else host
    if gpu is None:
        raise DeviceError(
            f"device {device.name} tells of no GPU that CUDA runs on: install driver and python3, or use --unit cpu"
        )
    return cuda_target(host, gpu.compute_capability)


def check_runs_on(artifact: Artifact, device: Device) -> None:
    """Raise ArtifactError if the device lacks what the artifact was compiled for."""
    built = artifact.manifest["target"]
    unit = unit_of(built)
    facts = device_facts(device)
    if unit == GPU and facts.gpu is None:
        raise ArtifactError(
            f"{artifact.path} was compiled for the GPU of {built.get('name')}, device {device.name} tells of none: "
            f"compile it again with `hwaware compile MODEL --device {device.name} --unit {CPU} --out DIR`"
        )
    able = target_of(device, unit)
    if not _runs(built, able, frozenset(facts.features)):
        raise ArtifactError(
            f"{artifact.path} was compiled for {built.get('name')}, device {device.name} is {able.name}: "
            f"compile it again with `hwaware compile MODEL --device {device.name} --out DIR`"
        )


def _runs(built: Mapping[str, Any], able: Target, features: frozenset[str]) -> bool:
    """Whether code for the target `built` names runs where code for `able` does; a name unknown here does not."""
    try:
        target = restored_target(built)
    except BuildError:
        return False
    if isinstance(target, CudaTarget) and not (isinstance(able, CudaTarget) and target.number <= able.number):
        return False
    return target.triple == able.triple and target.needs <= features
