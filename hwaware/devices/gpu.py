"""The GPU of a device, as the driver tells: asked where there are signs of one, by an agent that needs Python there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwaware.devices.schema import Fields
from hwaware.errors import AgentError, BuildError

if TYPE_CHECKING:
    from hwaware.devices.transport import Transport

# The word for an agent that runs on every machine that has Python.
ANY_MACHINE = "any"
_NODES = ("/dev/nvhost-gpu", "/dev/nvgpu", "/dev/nvidiactl", "/dev/nvmap")
_LOOK = f"for node in {' '.join(_NODES)}; do [ -e $node ] && exit 0; done; exit 1"
_CAPABILITY = re.compile(r"[1-9][0-9]?\.[0-9]")
_TIMEOUT_S = 60.0
_GIB = 1 << 30


@dataclass(frozen=True)
class Gpu:
    """A CUDA GPU; an `integrated` one shares the system's memory. Sizes in bytes, the clock in kHz if it is told."""

    name: str
    compute_capability: str
    memory_bytes: int
    integrated: bool
    multiprocessors: int
    l2_bytes: int
    max_khz: int | None
    driver: str

    @classmethod
    def read(cls, fields: Fields) -> Gpu:
        """Check an untrusted document. Raises AgentError naming the wrong field."""
        return cls(
            name=fields.word("name"),
            compute_capability=fields.word("compute_capability", _CAPABILITY),
            memory_bytes=fields.integer("memory_bytes", least=1),
            integrated=fields.boolean("integrated"),
            multiprocessors=fields.integer("multiprocessors", least=1),
            l2_bytes=fields.integer("l2_bytes"),
            max_khz=fields.integer_or_none("max_khz"),
            driver=fields.word("driver"),
        )

    def identity(self) -> dict[str, Any]:
        """What decides speed, and no version of a driver; memory in whole GiB, as drivers keep parts of it."""
        return {
            "name": self.name,
            "compute_capability": self.compute_capability,
            "memory_gib": -(-self.memory_bytes // _GIB),
            "integrated": self.integrated,
        }


def gpu_of(transport: Transport, compatible: Sequence[str], build_agent: Callable[[str], Path]) -> Gpu | None:
    """The device's GPU; None where it has none, or nothing that could tell (no driver, no Python).

    `build_agent` gives an agent for `ANY_MACHINE`. Raises AgentError for an answer that makes no sense, DeviceError.
    """
    tegra = any(word.startswith("nvidia,tegra") for word in compatible)
    if not tegra and transport.run(["sh", "-c", _LOOK], timeout=_TIMEOUT_S).returncode != 0:
        return None
    try:
        agent = transport.push(build_agent(ANY_MACHINE))
    except BuildError:
        return None
    done = transport.run([agent, "info"], timeout=_TIMEOUT_S)
    if done.returncode != 0:
        return None
    where = "the device's agent for GPUs"
    try:
        document = json.loads(done.stdout)
    except (ValueError, RecursionError) as error:
        raise AgentError(f"{where}: its `info` is no JSON document: {error}") from error
    return read_gpu(document, where)


def read_gpu(document: object, where: str) -> Gpu | None:
    """The field ``gpu`` of facts; None where it is null, or missing as the agent of processors leaves it.

    Raises AgentError.
    """
    value = document.get("gpu") if isinstance(document, dict) else None
    return None if value is None else Gpu.read(Fields(value, f"{where}: gpu"))
