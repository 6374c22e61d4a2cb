"""What code generation knows of a processor: triple, features, registers, vector width, caches, pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# What computes: the processor, or the GPU beside it.
CPU, GPU = "cpu", "gpu"


@dataclass(frozen=True)
class Target:
    """A code generation target.

    `needs` are the features, by their names in /proc/cpuinfo, that a device must have to run the code. `lanes` is
    floats a vector, `registers` the vector registers a tile may fill, `l1`/`l2` bytes of a core's data caches,
    `l1_ways` the lines of one set of the first. Of one
    full-width multiply-add, `fma_cycles` is the reciprocal throughput, `fma_latency` the cycles until its sum can be
    added to; `loads_per_cycle` counts vector loads, which take turns with multiply-adds where the core has no
    `dual_issue` of the two. `lane_fma` is how many inputs one load brings where a multiply-add can take a lane of a
    vector, 1 where it can't or gains nothing. `zig` is the triple the executable is linked for. With `tvm` kernels are
    loaded by TVM's runtime, and the agent is `device_agents/tvm`.
    """

    name: str
    triple: str
    zig: str
    cpu: str
    features: tuple[str, ...]
    lanes: int
    registers: int
    needs: frozenset[str] = frozenset()
    l1: int = 32 * 1024
    l2: int = 512 * 1024
    l1_ways: int = 8
    fma_cycles: float = 0.5
    fma_latency: float = 4.0
    loads_per_cycle: float = 2.0
    dual_issue: bool = True
    lane_fma: int = 1
    tvm: bool = False

    @property
    def unit(self) -> str:
        """What computes, `CPU` or `GPU`."""
        return CPU

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

    def tile_registers(self, positions: int, vectors: int) -> int:
        """Registers of a tile: accumulators, weights and one input; with lanes the inputs of all positions stay.

        LLVM spills unless it has some to spare for loading ahead, most where it unrolls, for cores that do not reorder.
        """
        if self.lane_fma == 1:
            return positions * vectors + vectors + 1
        ahead = 1 if self.dual_issue else (positions + vectors) // 2 + 1
        return positions * vectors + vectors + positions + ahead

    def step_cycles(self, positions: int, vectors: int) -> float:
        """Cycles of a tile's reduction step, whose sums depend on the step before."""
        adding = positions * vectors * self.fma_cycles
        loading = (positions / self.lane_fma + vectors) / self.loads_per_cycle
        return max(max(adding, loading) if self.dual_issue else adding + loading, self.fma_latency)
