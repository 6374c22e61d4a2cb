"""Runs lowered programs in this process, each buffer between guards, and compares with PyTorch.

A kernel that writes outside its buffers changes a guard; one that reads outside them, or before anything was
written, reads NaN.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import tvm_ffi
from torch import nn

from hwaware.compiler.build import compile_module
from hwaware.compiler.kernel import Kernel
from hwaware.compiler.schedules import generate
from hwaware.compiler.targets import Target, base_target
from hwaware.graph.capture import capture
from hwaware.graph.lower import Program, lower

TOLERANCE = 1e-4
GUARD = 64  # elements on each side, a multiple of TVM's alignment for every element type
AVX2 = base_target("x86_64-avx2")


@dataclass(frozen=True)
class Case:
    """A module in evaluation mode and inputs for it."""

    module: nn.Module
    inputs: tuple[torch.Tensor, ...]


class Guarded:
    """A flat buffer with guards around it; TVM reads and writes the same memory."""

    def __init__(self, size: int, dtype: str) -> None:
        kind = np.dtype(dtype)
        self._poison = np.array(np.nan if kind.kind == "f" else np.iinfo(kind).min, kind)
        raw = np.empty(size + 2 * GUARD + 64, kind)
        start = -raw.ctypes.data % 64 // kind.itemsize
        self._whole = raw[start : start + size + 2 * GUARD]
        self._whole[:] = self._poison
        self.values = self._whole[GUARD : GUARD + size]

    def part(self, offset: int) -> Guarded:
        """The same memory and guards, its values from element `offset` on."""
        made = copy.copy(self)
        made.values = self.values[offset:]
        return made

    def tensor(self, size: int, alignment: int = 64, shape: Sequence[int] | None = None) -> object:
        """The first `size` elements as TVM sees them; an error if they are not aligned to so many bytes."""
        values = self.values[:size]
        return tvm_ffi.from_dlpack(values if shape is None else values.reshape(shape), require_alignment=alignment)

    def intact(self) -> bool:
        """Whether both guards are as they were."""
        guards = (self._whole[:GUARD], self._whole[-GUARD:])
        return all(np.array_equal(guard, np.full(GUARD, self._poison), equal_nan=True) for guard in guards)


def alignments(kernel: Kernel) -> list[int]:
    """Bytes to which the kernel's code takes each of its arguments to be aligned: nothing checks it at run time."""
    return [int(param.data_alignment) for param in kernel.function.params]


def shapes(kernel: Kernel) -> list[list[int]]:
    """The shape that the kernel's code takes each of its arguments to have."""
    return [[int(size) for size in param.shape] for param in kernel.function.params]


def guarded(array: np.ndarray) -> Guarded:
    """A guarded copy."""
    made = Guarded(array.size, str(array.dtype))
    made.values[:] = array.reshape(-1)
    return made


def lowered(case: Case) -> Program:
    """The program of a case."""
    return lower(capture(case.module, case.inputs))


def expected(case: Case) -> list[np.ndarray]:
    """What PyTorch computes."""
    with torch.no_grad():
        result = case.module(*case.inputs)
    return [item.numpy() for item in (result if isinstance(result, tuple | list) else (result,))]


def relative_error(given: np.ndarray, wanted: np.ndarray) -> float:
    """Largest absolute error over the largest absolute value; infinite where shapes differ or anything is NaN."""
    if given.shape != wanted.shape or np.isnan(given).any() != np.isnan(wanted).any():
        return float("inf")
    error = np.abs(given.astype(np.float64) - wanted).max(initial=0.0)
    return float(error / max(np.abs(wanted).max(initial=0.0), 1e-30))


def run_programs(
    programs: Sequence[Program], inputs: Sequence[Sequence[torch.Tensor]], target: Target
) -> list[list[np.ndarray]]:
    """Outputs of each program; all distinct kernels are compiled at once."""
    kernels: dict[str, Kernel] = {}
    for program in programs:
        for op in program.ops:
            workload = op.workload
            if workload.key not in kernels:
                kernels[workload.key] = generate(workload, target)
    module = compile_module(list(kernels.values()), target)
    return [run_compiled(program, given, kernels, module) for program, given in zip(programs, inputs, strict=True)]


def run_compiled(
    program: Program, inputs: Sequence[torch.Tensor], kernels: Mapping[str, Kernel], module: object
) -> list[np.ndarray]:
    """Outputs of `program` by the compiled `kernels`, one a workload's key."""
    buffers = {
        name: Guarded(int(np.prod(spec.shape, dtype=np.int64)), spec.dtype)
        for name, spec in program.buffers.items()
        if name not in program.slices
    }
    buffers |= {name: buffers[place.buffer].part(place.offset) for name, place in program.slices.items()}
    for (_, buffer, _), value in zip(program.inputs, inputs, strict=True):
        buffers[buffer].values[:] = value.contiguous().numpy().reshape(-1)
    for op in program.ops:
        kernel = kernels[op.workload.key]
        packed = [guarded(array) for array in kernel.pack(op.constants)]
        scratch = [Guarded(piece.bytes // 4, "float32") for piece in kernel.scratch]
        places = [*(buffers[name] for name in op.inputs), *packed, *scratch, buffers[op.output]]
        forms = zip(places, kernel.arguments, alignments(kernel), shapes(kernel), strict=True)
        arguments = [place.tensor(argument.size, alignment, shape) for place, argument, alignment, shape in forms]
        module[kernel.symbol](*arguments)  # type: ignore[index]
        for place in places:
            assert place.intact(), f"{op.workload.key} writes outside its buffers"
    return [buffers[buffer].values.reshape(spec.shape) for _, buffer, spec in program.outputs]


def errors(cases: Sequence[Case], target: Target = AVX2) -> list[float]:
    """The largest relative error of each case's outputs."""
    programs = [lowered(case) for case in cases]
    results = run_programs(programs, [case.inputs for case in cases], target)
    return [
        max(relative_error(a, b) for a, b in zip(given, expected(case), strict=True))
        for case, given in zip(cases, results, strict=True)
    ]


def outputs(module: nn.Module, *inputs: torch.Tensor, target: Target = AVX2) -> list[np.ndarray]:
    """What the compiled module computes."""
    return run_programs([lowered(Case(module.eval(), inputs))], [inputs], target)[0]


def check(module: nn.Module, *inputs: torch.Tensor, target: Target = AVX2) -> Program:
    """Assert that a module agrees with PyTorch; gives its program."""
    case = Case(module.eval(), inputs)
    program = lowered(case)
    (given,) = run_programs([program], [inputs], target)
    found = [relative_error(a, b) for a, b in zip(given, expected(case), strict=True)]
    assert max(found) < TOLERANCE, f"relative errors {found} of {[op.workload.key for op in program.ops]}"
    return program
