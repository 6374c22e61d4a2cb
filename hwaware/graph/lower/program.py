"""The lowered model: fused operations on buffers, the form the compiler generates code from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwaware.graph.ir import Spec
from hwaware.graph.workload import Step, Workload, canonical


@dataclass
class FusedOp:
    """An anchor with its epilogue. `inputs` are buffer names, operands of steps last; `constants` by role."""

    name: str
    path: str
    kind: str
    inputs: list[str]
    input_specs: list[Spec]
    output: str
    output_spec: Spec  # in memory order
    attrs: dict[str, object]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    @property
    def workload(self) -> Workload:
        """The canonical key of what this operation computes."""
        return Workload(
            self.kind,
            tuple(self.input_specs),
            self.output_spec,
            canonical(self.attrs),  # type: ignore[arg-type]
            tuple(self.steps),
        )


@dataclass(frozen=True)
class Slice:
    """Part of the memory of `buffer`, from element `offset` on."""

    buffer: str
    offset: int


@dataclass
class Program:
    """Operations in execution order over named flat buffers.

    `inputs` and `outputs` are (name, buffer, spec) with specs in PyTorch's order, contiguous. Buffers that are
    `slices` of others have no memory of their own.
    """

    inputs: list[tuple[str, str, Spec]]
    outputs: list[tuple[str, str, Spec]]
    ops: list[FusedOp]
    buffers: dict[str, Spec]
    slices: dict[str, Slice] = field(default_factory=dict)

    def memory_of(self, buffer: str) -> str:
        """The buffer with memory of its own in which `buffer` lies."""
        place = self.slices.get(buffer)
        return buffer if place is None else place.buffer
