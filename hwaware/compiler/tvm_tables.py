"""What the TVM agent carries, as JSON: cells to measure, or a model to run (see `device_agents.tvm.tables`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwaware.compiler.assemble import Assembled
from hwaware.compiler.cuda.sentinel import ELEMENTS, SYMBOL
from hwaware.compiler.cuda.target import CudaTarget
from hwaware.compiler.kernel import Argument, Kernel
from hwaware.compiler.tables import Tensor
from hwaware.compiler.targets import Target

SCHEMA = 1


def cells_tables(kernels: Sequence[Kernel], target: Target) -> dict[str, Any]:
    """Tables with one cell a kernel, its id that of the kernel's variant."""
    return _unit(target) | {"cells": [_cell(kernel) for kernel in kernels], "model": None}


def model_tables(assembled: Assembled, target: Target) -> dict[str, Any]:
    """Tables of a whole model."""
    tables = assembled.tables
    shapes = {kernel.symbol: _shapes(kernel) for kernel in assembled.kernels}
    model = {
        "name": tables.name,
        "arena_bytes": tables.arena_bytes,
        "weight_bytes": tables.weight_bytes,
        "inputs": [_place(tables.tensors[index]) for index in tables.inputs],
        "outputs": [_place(tables.tensors[index]) for index in tables.outputs],
        "ops": [
            {
                "name": call.name,
                "key": call.key,
                "symbol": call.symbol,
                "args": [
                    _place(tables.tensors[index]) | {"shape": list(shape)}
                    for index, shape in zip(call.tensors, shapes[call.symbol], strict=True)
                ],
            }
            for call in tables.calls
        ],
    }
    return _unit(target) | {"cells": [], "model": model}


def _unit(target: Target) -> dict[str, Any]:
    """Where the kernels run, and what tells how fast that is at the moment."""
    if not isinstance(target, CudaTarget):
        return {"schema": SCHEMA, "unit": "cpu", "arch": None, "sentinel": None}
    sentinel: Mapping[str, Any] = {"symbol": SYMBOL, "elements": ELEMENTS}
    return {"schema": SCHEMA, "unit": "gpu", "arch": target.arch, "sentinel": sentinel}


def _shapes(kernel: Kernel) -> list[tuple[int, ...]]:
    """The shape that each argument's tensor must have: that of the kernel's parameter."""
    return [tuple(int(size) for size in param.shape) for param in kernel.function.params]


def _cell(kernel: Kernel) -> dict[str, Any]:
    pairs = zip(kernel.arguments, _shapes(kernel), strict=True)
    return {
        "id": kernel.variant.id,
        "symbol": kernel.symbol,
        "args": [_argument(argument, shape) for argument, shape in pairs],
    }


def _argument(argument: Argument, shape: tuple[int, ...]) -> dict[str, Any]:
    # Index tables of a kernel stay zero: any position they could name must exist.
    return {
        "role": argument.role,
        "dtype": argument.dtype,
        "shape": list(shape),
        "limit": max(1, argument.limit),
    }


def _place(tensor: Tensor) -> dict[str, Any]:
    return {"space": tensor.space, "offset": tensor.offset, "dtype": tensor.dtype, "shape": list(tensor.shape)}
