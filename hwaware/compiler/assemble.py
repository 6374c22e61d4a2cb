"""A program with its kernels, its memory and its packed weights: all that is linked into an artifact."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwaware.compiler.choice import Choice, Chooser
from hwaware.compiler.kernel import INPUT, OUTPUT, SCRATCH, WEIGHT, Kernel
from hwaware.compiler.memory import ALIGNMENT, MemoryPlan, align, plan_memory, scratch_name
from hwaware.compiler.schedules import generate, variant
from hwaware.compiler.tables import Call, ModelTables, Tensor
from hwaware.compiler.targets import Target
from hwaware.graph.lower import FusedOp, Program


@dataclass(frozen=True)
class Assembled:
    """A program with its kernels, memory and packed weights, ready to be linked."""

    kernels: tuple[Kernel, ...]
    tables: ModelTables
    weights: bytes

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The schedule of each workload, by its key."""
        return {kernel.workload.key: kernel.choice for kernel in self.kernels}


def assemble(program: Program, target: Target, name: str, chooser: Chooser | None = None) -> Assembled:
    """Kernels (one a distinct workload), tensor places and weights (equal ones stored once) of a program."""
    kernels: dict[str, Kernel] = {}
    for op in program.ops:
        workload = op.workload
        if workload.key not in kernels:
            kernels[workload.key] = generate(workload, target, variant(workload, target, chooser).choice)
    plan = plan_memory(program, {op.name: kernels[op.workload.key].scratch for op in program.ops})
    weights = _Weights()
    tensors = _Tensors(plan)
    calls = [_call(op, kernels[op.workload.key], program, tensors, weights) for op in program.ops]
    inputs = tuple(tensors.view(buffer, spec.shape, spec.dtype) for _, buffer, spec in program.inputs)
    outputs = tuple(tensors.view(buffer, spec.shape, spec.dtype) for _, buffer, spec in program.outputs)
    data = weights.data()
    tables = ModelTables(name, tuple(tensors.items), tuple(calls), inputs, outputs, plan.size, len(data))
    return Assembled(tuple(kernels.values()), tables, data)


def _call(op: FusedOp, kernel: Kernel, program: Program, tensors: _Tensors, weights: _Weights) -> Call:
    packed = iter([weights.add(array) for array in kernel.pack(op.constants)])
    places = {
        INPUT: iter(op.inputs),
        SCRATCH: (scratch_name(op.name, index) for index in range(len(kernel.scratch))),
        OUTPUT: iter([op.output]),
    }
    indices = []
    for argument in kernel.arguments:
        if argument.role == WEIGHT:
            offset, dtype = next(packed)
            indices.append(tensors.weight(offset, argument.size, dtype))
        else:
            indices.append(tensors.view(next(places[argument.role]), (argument.size,), argument.dtype))
    return Call(op.name, kernel.workload.key, kernel.symbol, tuple(indices))


class _Weights:
    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._known: dict[str, int] = {}

    def add(self, array: np.ndarray) -> tuple[int, str]:
        """Offset and element type of an array, stored once however often it is used."""
        data = array.tobytes() or bytes(array.itemsize)
        digest = hashlib.sha256(data + array.dtype.str.encode()).hexdigest()
        if digest not in self._known:
            self._known[digest] = self._size
            padding = align(len(data)) - len(data)
            self._parts.append(data + bytes(padding))
            self._size += len(data) + padding
        return self._known[digest], str(array.dtype)

    def data(self) -> bytes:
        return b"".join(self._parts) or bytes(ALIGNMENT)


class _Tensors:
    def __init__(self, plan: MemoryPlan) -> None:
        self._plan = plan
        self._known: dict[Tensor, int] = {}
        self.items: list[Tensor] = []

    def _index(self, tensor: Tensor) -> int:
        if tensor not in self._known:
            self._known[tensor] = len(self.items)
            self.items.append(tensor)
        return self._known[tensor]

    def view(self, buffer: str, shape: tuple[int, ...], dtype: str) -> int:
        return self._index(Tensor(shape, dtype, "arena", self._plan.offsets[buffer]))

    def weight(self, offset: int, size: int, dtype: str) -> int:
        return self._index(Tensor((size,), dtype, "weights", offset))


def program_memory(program: Program, target: Target, chooser: Chooser | None = None) -> dict[str, int]:
    """Exact bytes of weights and arena that the artifact of `program` will use."""
    assembled = assemble(program, target, "", chooser)
    return {"weights": assembled.tables.weight_bytes, "arena": assembled.tables.arena_bytes}
