"""Which target a device is: from its own facts, never more than it says it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwaware.compiler.artifact import Artifact
from hwaware.compiler.link import bare_agent
from hwaware.compiler.targets import Target, restored_target, target_for
from hwaware.devices.device import Device
from hwaware.devices.facts import DeviceFacts
from hwaware.errors import ArtifactError, BuildError


def device_facts(device: Device) -> DeviceFacts:
    """What the device says it is, asked once a connection."""
    return device.facts(bare_agent)


def target_of(device: Device) -> Target:
    """The code generation target of `device`."""
    facts = device_facts(device)
    caches = {cache.level: cache.bytes for cache in facts.caches if cache.type != "Instruction"}
    return target_for(facts.arch, frozenset(facts.features), caches, facts.cpu_model)


def check_runs_on(artifact: Artifact, device: Device) -> None:
    """Raise ArtifactError if the device lacks what the artifact was compiled for."""
    built = artifact.manifest["target"]
    able = target_of(device)
    if not _runs(built, able, frozenset(device_facts(device).features)):
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
    return target.triple == able.triple and target.needs <= features
