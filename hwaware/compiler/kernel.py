"""A kernel: the TIR of one workload, its arguments in order, and how weights are packed for it.

Arguments are, in this order: the workload's inputs, operands of epilogue steps that the model computes, packed
constants, scratch memory, the output. All are flat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tvm import sym, tirx

from hwaware.compiler.choice import Choice, Variant
from hwaware.compiler.epilogue import apply_steps
from hwaware.compiler.memory import Scratch
from hwaware.compiler.targets import Target
from hwaware.compiler.tir import Buffer, Expr, Stmt, buffer, function, seq, serial, store
from hwaware.errors import BuildError
from hwaware.graph.ir import Spec
from hwaware.graph.workload import CHANNEL, IN_PITCH, NONE, OF_LEVELS, OUT_PITCH, PAIR, Step, Workload

INPUT, WEIGHT, SCRATCH, OUTPUT = "input", "weight", "scratch", "output"
Pack = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Argument:
    """One flat argument: `role`, element type and count; `limit` bounds the values of integer arguments.

    Those that are `rising` are where ranges begin, and at last, at `limit`, where the last one ends. Of scratch memory
    each of `tasks` that run side by side has an equal slice.
    """

    role: str
    dtype: str
    size: int
    limit: int = 0
    tasks: int = 1
    rising: bool = False

    @property
    def bytes(self) -> int:
        """Bytes in memory."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Kernel:
    """Generated code of a workload for a target, by the schedule `choice`."""

    workload: Workload
    choice: Choice
    function: Any
    arguments: tuple[Argument, ...]
    packs: tuple[Pack, ...]

    @property
    def symbol(self) -> str:
        """The C symbol, without TVM's prefix."""
        return self.variant.symbol

    @property
    def variant(self) -> Variant:
        """What it was made from."""
        return Variant(self.workload, self.choice)

    @property
    def scratch(self) -> tuple[Scratch, ...]:
        """Each piece of memory the kernel needs to itself while it runs."""
        return tuple(Scratch(item.bytes, item.tasks) for item in self.arguments if item.role == SCRATCH)

    def pack(self, constants: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The constant arguments, flat, in the kernel's order."""
        return [np.ascontiguousarray(pack(constants)).reshape(-1) for pack in self.packs]


# Every schedule's parameter: stay on the caller's thread, where waking the others costs more than they bring.
SERIAL = "serial"
# Kinds that read any part of a tensor, by strides of their own.
_READ_PARTS = ("map", "copy")
# Kernels compute indices in 32 bits.
MAX_ELEMENTS = 2**31 - 1


def size_of(spec: Spec) -> int:
    """Elements of a tensor; BuildError if a kernel cannot index them."""
    return _indexable(math.prod(spec.shape))


def _extent(spec: Spec, width: int, pitch: int) -> int:
    """Elements of `spec` and of what lies between, where rows of `width` channels begin `pitch` apart."""
    size = size_of(spec)
    return _indexable((size // width - 1) * pitch + width) if pitch > width else size


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
    choice: Choice
    inputs: list[Buffer] = field(default_factory=list)
    operands: list[Buffer | None] = field(default_factory=list)
    constants: list[Buffer] = field(default_factory=list)
    scratches: list[tuple[Buffer, int]] = field(default_factory=list)
    packs: list[Pack] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)

    def __post_init__(self) -> None:
        work = self.workload
        for index, spec in enumerate(work.inputs):
            limit = int(dict(work.attrs).get("rows", 0)) if spec.dtype.startswith("int") else 0  # type: ignore[arg-type]
            size = size_of(spec) if index else _extent(spec, work.in_width, work.in_pitch)
            part = work.kind in _READ_PARTS or (index == 0 and IN_PITCH in dict(work.attrs))
            self.inputs.append(buffer(f"x{index}", size, spec.dtype, part=part))
            self.arguments.append(Argument(INPUT, spec.dtype, size, limit))
        for index, step in enumerate(work.epilogue):
            if step.operand == NONE or step.constant:
                self.operands.append(None)
                continue
            size = operand_size(step, work)
            dtype = "uint8" if index and work.epilogue[index - 1].name == OF_LEVELS else "float32"
            self.operands.append(buffer(f"operand{index}", size, dtype))
            self.arguments.append(Argument(INPUT, dtype, size))
        self._params = [*self.inputs, *(operand for operand in self.operands if operand is not None)]
        size = _extent(work.output, work.out_width, work.out_pitch)
        self.output = buffer("y", size, work.output.dtype, part=OUT_PITCH in dict(work.attrs))

    def constant(
        self, name: str, size: int, pack: Pack, dtype: str = "float32", *, limit: int = 0, rising: bool = False
    ) -> Buffer:
        """Declare a packed constant; `pack` makes it from the operation's constants; see `Argument` for the others."""
        made = buffer(name, _indexable(size), dtype)
        self.constants.append(made)
        self.packs.append(pack)
        self.arguments.append(Argument(WEIGHT, dtype, max(1, size), limit, rising=rising))
        return made

    def scratch(self, name: str, size: int, tasks: int = 1) -> Buffer:
        """Declare `size` floats, for each of `tasks`, of memory that is the kernel's own while it runs.

        What is in it then is undefined. Task i must be step i of the parallel loop.
        """
        made = buffer(name, _indexable(size * tasks))
        self.scratches.append((made, tasks))
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
        """Store `value` after the workload's steps to the output; see `apply_steps`.

        `full` is the index in a dense output: where the output has a pitch, its pixel is found from it.
        """
        steps = self.workload.epilogue
        statements, result = apply_steps(steps, self.operands, value, lanes, full, channel, strided)
        return seq([*statements, store(self.output, self._place(full, channel), result, lanes)])

    def _place(self, full: Expr, channel: Expr) -> Expr:
        work = self.workload
        if OUT_PITCH not in dict(work.attrs):
            return full
        pixel = tirx.floordiv(full - channel, tirx.const(work.out_width, "int32"))
        # Schedules write pixel·channels + channel: the division cancels out.
        return sym.Analyzer().simplify(pixel * work.out_pitch + channel)

    def finish(self, body: Stmt) -> Kernel:
        """The kernel with this body."""
        self.arguments += [
            Argument(SCRATCH, "float32", int(item.shape[0]), tasks=tasks) for item, tasks in self.scratches
        ]
        self.arguments.append(Argument(OUTPUT, self.workload.output.dtype, int(self.output.shape[0])))
        params = [*self._params, *self.constants, *(item for item, _ in self.scratches), self.output]
        if self.choice.get(SERIAL, 0):
            body = serial(body)
        made = function(Variant(self.workload, self.choice).symbol, params, body)
        return Kernel(self.workload, self.choice, made, tuple(self.arguments), tuple(self.packs))


def _take(name: str) -> Pack:
    return lambda constants: constants[name]


def operand_size(step: Step, work: Workload) -> int:
    """Elements of a step's operand."""
    if step.operand == CHANNEL:
        return work.output.shape[-1]
    if step.operand == PAIR:
        return 2
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
