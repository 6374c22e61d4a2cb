"""What code generation needs to know of a processor: triple, features, registers, vector width, caches."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hwaware.errors import BuildError


@dataclass(frozen=True)
class Target:
    """A code generation target.

    `lanes` is floats a vector, `registers` vector registers, `l1`/`l2` bytes of a core's data caches; `fma_cycles` is
    the reciprocal throughput of one full-width multiply-add. `zig` is the triple the executable is linked for.
    """

    name: str
    triple: str
    zig: str
    cpu: str
    features: tuple[str, ...]
    lanes: int
    registers: int
    l1: int = 32 * 1024
    l2: int = 512 * 1024
    fma_cycles: float = 0.5

    def llvm(self) -> dict[str, Any]:
        """The TVM target description."""
        described: dict[str, Any] = {"kind": "llvm", "mtriple": self.triple, "mcpu": self.cpu}
        if self.features:
            described["mattr"] = list(self.features)
        if self.triple.startswith("arm-"):
            described["mfloat-abi"] = "hard"
        if self.triple.startswith("riscv64"):
            described["mabi"] = "lp64d"
        return described

    def identity(self) -> dict[str, Any]:
        """What makes two builds the same, as it stands in reports and tables."""
        return {
            "name": self.name,
            "cpu": self.cpu,
            "features": list(self.features),
            "lanes": self.lanes,
            "l1": self.l1,
            "l2": self.l2,
        }


_BASES = {
    target.name: target
    for target in (
        Target(
            "x86_64-avx512",
            "x86_64-linux-gnu",
            "x86_64-linux-musl",
            "skylake-avx512",
            ("-prefer-256-bit",),
            lanes=16,
            registers=32,
            fma_cycles=1.0,
        ),
        Target("x86_64-avx2", "x86_64-linux-gnu", "x86_64-linux-musl", "haswell", (), lanes=8, registers=16),
        Target("x86_64", "x86_64-linux-gnu", "x86_64-linux-musl", "x86-64-v2", (), lanes=4, registers=16),
        Target(
            "aarch64",
            "aarch64-linux-gnu",
            "aarch64-linux-musl",
            "cortex-a72",
            ("+neon",),
            lanes=4,
            registers=32,
            fma_cycles=1.0,
        ),
        Target(
            "armv7",
            "arm-linux-gnueabihf",
            "arm-linux-musleabihf",
            "cortex-a7",
            ("+neon", "+vfp4"),
            lanes=4,
            registers=16,
            fma_cycles=2.0,
        ),
        Target(
            "riscv64",
            "riscv64-linux-gnu",
            "riscv64-linux-musl",
            "generic-rv64",
            ("+m", "+a", "+f", "+d", "+c"),
            lanes=1,
            registers=24,
            fma_cycles=1.0,
        ),
    )
}
_MACHINES = {
    "x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64",
    "armv7l": "armv7", "armv8l": "armv7", "arm": "armv7", "riscv64": "riscv64",
}  # fmt: skip

_AVX512 = frozenset({"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"})
_AVX2 = frozenset({"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe"})
_V2 = frozenset({"sse4_2", "ssse3", "popcnt"})


def base_target(name: str) -> Target:
    """A target by its name."""
    if name not in _BASES:
        raise BuildError(f"unknown target {name!r}: choose one of {', '.join(_BASES)}")
    return _BASES[name]


def restored_target(identity: Mapping[str, Any]) -> Target:
    """The target a table or an artifact was made for, from its `identity`."""
    base = base_target(str(identity.get("name")))
    return replace(base, l1=int(identity.get("l1", base.l1)), l2=int(identity.get("l2", base.l2)))


def plain_target(machine: str) -> Target:
    """The least demanding target of a machine as `uname -m` names it, before anything else is known of it."""
    name = _MACHINES.get(machine.lower())
    if name is None:
        known = ", ".join(sorted(_MACHINES))
        raise BuildError(f"no target for machine {machine!r}: known are {known}")
    return _BASES[name]


def target_for(machine: str, features: frozenset[str], caches: dict[int, int] | None = None) -> Target:
    """The target for a device's own facts: never more than the features it says it has.

    `caches` gives the bytes of the data caches of one core by level, where the device knows them.
    """
    base = plain_target(machine)
    if base.name == "x86_64":
        if features >= _AVX512 | _AVX2:
            base = _BASES["x86_64-avx512"]
        elif features >= _AVX2:
            base = _BASES["x86_64-avx2"]
        elif not features >= _V2:
            raise BuildError("this x86-64 processor lacks SSE4.2: hwaware needs x86-64-v2 or later")
    sizes = caches or {}
    return replace(base, l1=sizes.get(1, base.l1), l2=sizes.get(2, base.l2))


def host_machine() -> str:
    """This machine as `uname -m` names it."""
    return platform.machine()
