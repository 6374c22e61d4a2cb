"""Which target a device is: from its own facts, never more than it says it has."""

from __future__ import annotations

from hwaware.compiler.artifact import Artifact
from hwaware.compiler.link import bare_agent
from hwaware.compiler.targets import Target, target_for
from hwaware.devices.device import Device
from hwaware.devices.facts import DeviceFacts
from hwaware.errors import ArtifactError


def device_facts(device: Device) -> DeviceFacts:
    """What the device says it is, asked once a connection."""
    return device.facts(bare_agent)


def target_of(device: Device) -> Target:
    """The code generation target of `device`."""
    facts = device_facts(device)
    caches = {cache.level: cache.bytes for cache in facts.caches if cache.type != "Instruction"}
    return target_for(facts.arch, frozenset(facts.features), caches)


def check_runs_on(artifact: Artifact, device: Device) -> None:
    """Raise ArtifactError if the device lacks what the artifact was compiled for."""
    built = artifact.manifest["target"]
    able = target_of(device)
    family, lanes = str(built.get("name", "")).split("-")[0], built.get("lanes", 0)
    if family != able.name.split("-")[0] or not isinstance(lanes, int) or lanes > able.lanes:
        raise ArtifactError(
            f"{artifact.path} was compiled for {built.get('name')}, device {device.name} is {able.name}: "
            f"compile it again with `hwaware compile MODEL --device {device.name} --out DIR`"
        )
