"""What a device is, as its agent tells: hardware, system, and the state of the moment.

The document comes from a device and is checked field by field. Fields unknown here are ignored, so that an
agent of a later version still answers.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from hwaware.devices.gpu import Gpu, read_gpu
from hwaware.devices.schema import Fields
from hwaware.errors import AgentError

PROTOCOL = 1
_ARCH = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIB = 1 << 30


@dataclass(frozen=True)
class Cpu:
    """One logical CPU. `capacity`: the kernel's relative speed (1024 = fastest); frequencies in kHz.

    `max_khz` is the most it can do, the `scaling` ones are the limits that hold now. `part` ("0xd0b") and `core`
    ("Cortex-A76") are for ARM; agents of earlier versions tell neither them nor the limits.
    """

    id: int
    online: bool
    capacity: int | None
    max_khz: int | None
    cur_khz: int | None
    governor: str | None
    scaling_min_khz: int | None = None
    scaling_max_khz: int | None = None
    part: str | None = None
    core: str | None = None


@dataclass(frozen=True)
class Cache:
    """One cache: level, `Data` | `Instruction` | `Unified`, size in bytes."""

    level: int
    type: str
    bytes: int


@dataclass(frozen=True)
class ThermalZone:
    """One temperature sensor, in thousandths of a degree Celsius."""

    type: str
    milli_c: int


@dataclass(frozen=True)
class DeviceFacts:
    """The agent's `info`; sizes in bytes, `load1` the one-minute load average.

    `compatible` is the device tree's list of what the board is, from the board itself to its chip; `power_mode` the one
    a Jetson is set to, `gpu` one that CUDA runs on; both are asked beside the agent. Agents of earlier
    versions do not tell the first.
    """

    protocol: int
    agent_sha256: str | None
    arch: str
    kernel: str
    machine_model: str | None
    cpu_model: str | None
    cpu_part: str | None
    features: tuple[str, ...]
    cpus: tuple[Cpu, ...]
    caches: tuple[Cache, ...]
    memory_bytes: int
    page_bytes: int
    load1: float
    thermal: tuple[ThermalZone, ...]
    os: str | None
    libc: str | None
    emulated: bool  # runs under an emulator: its times mean nothing
    compatible: tuple[str, ...] = ()
    power_mode: str | None = None
    gpu: Gpu | None = None

    @classmethod
    def from_json(cls, line: str, source: str) -> DeviceFacts:
        """Parse one line of JSON; `source` names the device in errors. Raises AgentError."""
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise AgentError(f"{source}: its agent's `info` is no JSON document: {error}") from error
        return cls.from_dict(document, source)

    @classmethod
    def from_dict(cls, document: object, source: str) -> DeviceFacts:
        """Check a parsed document, as `as_dict` returns it. Raises AgentError naming the wrong field."""
        fields = Fields(document, source)
        protocol = fields.integer("protocol", least=1)
        if protocol != PROTOCOL:
            raise AgentError(
                f"{source}: its agent speaks protocol {protocol}, this version speaks {PROTOCOL}; profile "
                "or compile "
                "again with this version"
            )
        return cls(
            protocol=protocol,
            agent_sha256=fields.word_or_none("agent_sha256", _SHA256),
            arch=fields.word("arch", _ARCH),
            kernel=fields.word("kernel"),
            machine_model=fields.word_or_none("machine_model"),
            cpu_model=fields.word_or_none("cpu_model"),
            cpu_part=fields.word_or_none("cpu_part"),
            features=tuple(fields.words("features")),
            cpus=tuple(_cpu(cpu) for cpu in fields.objects("cpus", least=1)),
            caches=tuple(
                Cache(level=cache.integer("level"), type=cache.word("type"), bytes=cache.integer("bytes"))
                for cache in fields.objects("caches")
            ),
            memory_bytes=fields.integer("memory_bytes", least=1),
            page_bytes=fields.integer("page_bytes", least=1),
            load1=fields.number("load1"),
            thermal=tuple(
                ThermalZone(type=zone.word("type"), milli_c=zone.integer("milli_c", least=-(10**9)))
                for zone in fields.objects("thermal")
            ),
            os=fields.word_or_none("os"),
            libc=fields.word_or_none("libc"),
            emulated=fields.boolean("emulated"),
            compatible=tuple(fields.words("compatible")) if "compatible" in fields else (),
            power_mode=_later_word(fields, "power_mode"),
            gpu=read_gpu(document, source),
        )

    def as_dict(self) -> dict[str, Any]:
        """The JSON document these facts were read from."""
        told = {"type": "info"} | json.loads(json.dumps(asdict(self)))
        if self.gpu is None:
            del told["gpu"]
        return told

    @property
    def soc(self) -> str | None:
        """The chip as the device tree calls it, "brcm,bcm2711": the last thing the board is compatible with."""
        return self.compatible[-1] if self.compatible else None

    def data_caches(self) -> dict[int, int]:
        """Bytes of the data caches of one core, by level."""
        return {cache.level: cache.bytes for cache in self.caches if cache.type != "Instruction"}

    def identity(self) -> dict[str, Any]:
        """What stays the same from boot to boot and decides speed: no load, temperature or kernel version.

        Memory is rounded up to whole GiB, as kernels keep varying parts of it to themselves.
        """
        identity = {
            "arch": self.arch,
            "machine_model": self.machine_model,
            "cpu_model": self.cpu_model,
            "cpu_part": self.cpu_part,
            "features": sorted(set(self.features)),
            "cpus": len(self.cpus),
            "memory_gib": math.ceil(self.memory_bytes / _GIB),
        }
        # Without one, as before there were any: fingerprints of tables stay what they are.
        return identity if self.gpu is None else identity | {"gpu": self.gpu.identity()}

    def fingerprint(self) -> dict[str, Any]:
        """`identity` and, as `sha256`, its hash; devices with the same one are of the same kind."""
        identity = self.identity()
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return identity | {"sha256": hashlib.sha256(canonical.encode()).hexdigest()}


def _cpu(fields: Fields) -> Cpu:
    return Cpu(
        id=fields.integer("id"),
        online=fields.boolean("online"),
        capacity=fields.integer_or_none("capacity"),
        max_khz=fields.integer_or_none("max_khz"),
        cur_khz=fields.integer_or_none("cur_khz"),
        governor=fields.word_or_none("governor"),
        scaling_min_khz=_later_integer(fields, "scaling_min_khz"),
        scaling_max_khz=_later_integer(fields, "scaling_max_khz"),
        part=_later_word(fields, "part"),
        core=_later_word(fields, "core"),
    )


def _later_integer(fields: Fields, name: str) -> int | None:
    """A field that agents of earlier versions do not tell."""
    return fields.integer_or_none(name) if name in fields else None


def _later_word(fields: Fields, name: str) -> str | None:
    """Such a field that is a word."""
    return fields.word_or_none(name) if name in fields else None
