"""Which sparse kernels there are for a layer."""

from __future__ import annotations

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.conv_shape import layer_shape
from hwaware.compiler.schedules.sparse.rows import sparse_rows
from hwaware.compiler.schedules.sparse.space import space_choices, sparse_space
from hwaware.compiler.targets import Target
from hwaware.graph.workload import Workload


def sparse_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Scalar products where there are few positions, tiles of positions else."""
    shape = layer_shape(workload)
    few = [Choice.of("sparse_rows")] if shape.is_few_rows() else []
    return few if shape.positions == 1 and few else [*few, *space_choices(shape, target)]


def sparse(builder: KernelBuilder) -> Kernel:
    """Schedules ``sparse`` (parameters `rows` and `vectors` of a tile) and ``sparse_rows`` of ``conv2d``, ``dense``."""
    shape = layer_shape(builder.workload)
    if builder.choice.schedule == "sparse_rows":
        return sparse_rows(builder, shape)
    return sparse_space(builder, shape)
