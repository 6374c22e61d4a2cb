"""A CUDA GPU and the processor it stands beside, as code generation knows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hwaware.compiler.target import GPU, Target
from hwaware.compiler.targets import ARCH, restored_target
from hwaware.errors import BuildError

_CAPABILITY = re.compile(r"([1-9][0-9]?)\.([0-9])")
_ARCH = re.compile(r"sm_[1-9][0-9]{1,2}")
# A block of threads moves through a channel's elements this many at a time.
_WARP = 32


@dataclass(frozen=True)
class CudaTarget(Target):
    """The GPU `arch` (``sm_87``) driven by the processor that the other fields describe.

    `threads_per_block`, `shared_bytes` and `registers_per_block` are what every GPU since sm_75 gives a block without
    asking for more.
    """

    arch: str = ""
    threads_per_block: int = 1024
    shared_bytes: int = 48 * 1024
    registers_per_block: int = 65536

    @property
    def unit(self) -> str:
        """What computes."""
        return GPU

    @property
    def number(self) -> int:
        """The architecture as a number; code for one runs on all later ones, which translate its PTX."""
        return int(self.arch.removeprefix("sm_"))

    def cuda(self) -> dict[str, Any]:
        """The TVM target description, host included."""
        return {
            "kind": "cuda",
            "arch": self.arch,
            "max_threads_per_block": self.threads_per_block,
            "max_shared_memory_per_block": self.shared_bytes,
            "registers_per_block": self.registers_per_block,
            "thread_warp_size": _WARP,
            "host": self.llvm(),
        }

    def identity(self) -> dict[str, Any]:
        """What makes two builds the same, as it stands in reports and tables."""
        return super().identity() | {ARCH: self.arch}


def cuda_target(host: Target, capability: str) -> CudaTarget:
    """The target of a GPU of compute `capability` (``8.7``) beside a processor. Raises BuildError."""
    found = _CAPABILITY.fullmatch(capability)
    if found is None:
        raise BuildError(f"{capability[:20]!r} is no compute capability such as '8.7'")
    return _beside(host, f"sm_{found[1]}{found[2]}")


def _beside(host: Target, arch: str) -> CudaTarget:
    known = {field.name: getattr(host, field.name) for field in fields(Target)}
    return CudaTarget(**known | {"name": f"{host.name}+{arch}", "lanes": _WARP, "arch": arch, "tvm": True})


def restored_cuda_target(identity: Mapping[str, Any]) -> CudaTarget:
    """The target a table or an artifact was made for, from its (untrusted) `identity`. Raises BuildError."""
    arch = str(identity.get(ARCH))
    if not _ARCH.fullmatch(arch):
        raise BuildError(f"{arch[:20]!r} is no GPU architecture such as 'sm_87': make the file again")
    named = {"name": str(identity.get("name")).partition("+")[0]}
    host = restored_target({name: value for name, value in identity.items() if name != ARCH} | named)
    return _beside(host, arch)
