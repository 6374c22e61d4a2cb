"""What a GPU kernel has to do, counted as `compiler.effort` counts for processors."""

from __future__ import annotations

import math
from typing import cast

from hwaware.compiler.choice import Choice
from hwaware.compiler.cuda.names import MATMUL
from hwaware.compiler.kernel import ceil_div
from hwaware.graph.arithmetic import multiply_adds
from hwaware.graph.workload import Workload

# The tile of TVM's rule for matrix products: rows, columns, and steps of the reduction, all padded.
_ROWS, _COLUMNS, _STEPS = 32, 64, 16
# Multiply-adds of a cycle, on a GPU of the size that boards have: in the units that a cycle of other counts has.
_AT_ONCE = 1024


def adds(workload: Workload, choice: Choice) -> float:
    """Multiply-adds, padding included, or elements where there are none; in thousands."""
    direct = multiply_adds(workload)
    if choice.schedule != MATMUL:
        elements = max(math.prod(spec.shape) for spec in (*workload.inputs, workload.output))
        return max(direct, elements) / _AT_ONCE
    batch, rows, columns = _product(workload)
    # Of a transposed convolution every tap of the spread image, most of them zeros.
    steps = _depth(workload)
    return batch * _padded(rows, _ROWS) * _padded(columns, _COLUMNS) * _padded(steps, _STEPS) / _AT_ONCE


def _padded(size: int, tile: int) -> int:
    return ceil_div(size, tile) * tile


def _product(workload: Workload) -> tuple[int, int, int]:
    """Batch, rows and columns of the matrix product."""
    shape = workload.output.shape
    if workload.kind == "matmul":
        return shape[0], shape[1], shape[2]
    groups = _groups(workload)
    return groups, math.prod(shape[:-1]), shape[-1] // groups


def _depth(workload: Workload) -> int:
    inputs = workload.inputs[0].shape[-1]
    if workload.kind in ("dense", "matmul"):
        return inputs
    return math.prod(workload.ints("kernel")) * inputs // _groups(workload)


def _groups(workload: Workload) -> int:
    return cast(int, dict(workload.attrs).get("groups", 1))


def launches(workload: Workload) -> int:
    """Kernels that are launched: one, but for copies, whose parts are kernels."""
    if workload.kind != "copy":
        return 1
    attrs = dict(workload.attrs)
    return len(cast("tuple[object, ...]", attrs["parts"])) + int("fill" in attrs)
