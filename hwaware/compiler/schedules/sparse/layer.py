"""Which sparse kernels there are for a layer."""

from __future__ import annotations

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.conv_shape import ConvShape, conv_shape, dense_shape
from hwaware.compiler.schedules.sparse.rows import sparse_rows
from hwaware.compiler.schedules.sparse.space import space_choices, sparse_space
from hwaware.compiler.targets import Target
from hwaware.graph.workload import Workload

# Positions up to which each is a scalar product: sums of them all stay in registers.
_MOST_ROWS = 4


def sparse_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Scalar products where there are few positions, tiles of positions else."""
    shape = _shape(workload)
    few = [Choice.of("sparse_rows")] if _is_rows(shape) else []
    return few if shape.positions == 1 and few else [*few, *space_choices(shape, target)]


def sparse(builder: KernelBuilder) -> Kernel:
    """Schedules ``sparse`` (parameters `rows` and `vectors` of a tile) and ``sparse_rows`` of ``conv2d``, ``dense``."""
    shape = _shape(builder.workload)
    if builder.choice.schedule == "sparse_rows":
        return sparse_rows(builder, shape)
    return sparse_space(builder, shape)


def _shape(workload: Workload) -> ConvShape:
    return dense_shape(workload) if workload.kind == "dense" else conv_shape(workload)


def _is_rows(shape: ConvShape) -> bool:
    rows, columns = shape.rows, shape.columns
    return shape.batch * rows.out == 1 and columns.out <= _MOST_ROWS and (rows.taps, columns.taps) == (1, 1)
