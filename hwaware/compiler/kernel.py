"""A kernel: the TIR of one workload, its arguments in order, and how weights are packed for it.

Arguments are, in this order: the workload's inputs, operands of epilogue steps that the model computes, packed
constants, the output. All are flat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwaware.compiler.epilogue import apply_steps
from hwaware.compiler.targets import Target
from hwaware.compiler.tir import Buffer, Expr, Stmt, buffer, function, seq, store
from hwaware.errors import BuildError
from hwaware.graph.ir import Spec
from hwaware.graph.workload import CHANNEL, NONE, Step, Workload

INPUT, WEIGHT, OUTPUT = "input", "weight", "output"
Pack = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Argument:
    """One flat argument: `role`, element type and count; `limit` bounds the values of integer arguments."""

    role: str
    dtype: str
    size: int
    limit: int = 0

    @property
    def bytes(self) -> int:
        """Bytes in memory."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Kernel:
    """Generated code of a workload for a target."""

    workload: Workload
    function: Any
    arguments: tuple[Argument, ...]
    packs: tuple[Pack, ...]

    @property
    def symbol(self) -> str:
        """The C symbol, without TVM's prefix."""
        return self.workload.symbol

    def pack(self, constants: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The constant arguments, flat, in the kernel's order."""
        return [np.ascontiguousarray(pack(constants)).reshape(-1) for pack in self.packs]


# Kernels compute indices in 32 bits.
MAX_ELEMENTS = 2**31 - 1


def size_of(spec: Spec) -> int:
    """Elements of a tensor; BuildError if a kernel cannot index them."""
    return _indexable(math.prod(spec.shape))


def _indexable(count: int) -> int:
    if count > MAX_ELEMENTS:
        raise BuildError(
            f"a tensor of {count} elements is above the {MAX_ELEMENTS} a kernel can index: use a smaller batch or input"
        )
    return count


@dataclass
class KernelBuilder:
    """What a schedule writes into: declares arguments in order and applies the epilogue."""

    workload: Workload
    target: Target
    inputs: list[Buffer] = field(default_factory=list)
    operands: list[Buffer | None] = field(default_factory=list)
    constants: list[Buffer] = field(default_factory=list)
    packs: list[Pack] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)

    def __post_init__(self) -> None:
        work = self.workload
        for index, spec in enumerate(work.inputs):
            limit = int(dict(work.attrs).get("rows", 0)) if spec.dtype.startswith("int") else 0  # type: ignore[arg-type]
            self.inputs.append(buffer(f"x{index}", size_of(spec), spec.dtype))
            self.arguments.append(Argument(INPUT, spec.dtype, size_of(spec), limit))
        for index, step in enumerate(work.epilogue):
            if step.operand == NONE or step.constant:
                self.operands.append(None)
                continue
            size = operand_size(step, work)
            self.operands.append(buffer(f"operand{index}", size))
            self.arguments.append(Argument(INPUT, "float32", size))
        self._params = [*self.inputs, *(operand for operand in self.operands if operand is not None)]
        self.output = buffer("y", size_of(work.output), work.output.dtype)

    def constant(self, name: str, size: int, pack: Pack, dtype: str = "float32") -> Buffer:
        """Declare a packed constant; `pack` makes it from the operation's constants."""
        made = buffer(name, _indexable(size), dtype)
        self.constants.append(made)
        self.packs.append(pack)
        self.arguments.append(Argument(WEIGHT, dtype, max(1, size)))
        return made

    def declare_steps(self) -> None:
        """Declare the constants of the epilogue; schedules call it after their own constants."""
        for index, step in enumerate(self.workload.epilogue):
            if step.constant:
                size = operand_size(step, self.workload)
                self.operands[index] = self.constant(f"step{index}", size, _take(f"step{index}"))

    def write(
        self,
        value: Expr,
        lanes: int,
        full: Expr,
        channel: Expr,
        strided: Callable[[Buffer, Step, int], Expr] | None = None,
    ) -> Stmt:
        """Store `value` after the workload's steps to the output; see `apply_steps`."""
        steps = self.workload.epilogue
        statements, result = apply_steps(steps, self.operands, value, lanes, full, channel, strided)
        return seq([*statements, store(self.output, full, result, lanes)])

    def finish(self, body: Stmt) -> Kernel:
        """The kernel with this body."""
        self.arguments.append(Argument(OUTPUT, self.workload.output.dtype, size_of(self.workload.output)))
        params = [*self._params, *self.constants, self.output]
        made = function(self.workload.symbol, params, body)
        return Kernel(self.workload, made, tuple(self.arguments), tuple(self.packs))


def _take(name: str) -> Pack:
    return lambda constants: constants[name]


def operand_size(step: Step, work: Workload) -> int:
    """Elements of a step's operand."""
    if step.operand == CHANNEL:
        return work.output.shape[-1]
    if isinstance(step.operand, tuple):
        offset = int(step.params[0])
        shape = work.output.shape
        return 1 + offset + sum((size - 1) * stride for size, stride in zip(shape, step.operand, strict=True))
    return size_of(work.output)


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up."""
    return -(-a // b)


Schedule = Callable[[KernelBuilder], Kernel]


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a dense tensor."""
    result = [1] * len(shape)
    for index in range(len(shape) - 2, -1, -1):
        result[index] = result[index + 1] * shape[index + 1]
    return tuple(result)
