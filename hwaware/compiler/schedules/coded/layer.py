"""Which kernels there are for a coded layer."""

from __future__ import annotations

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.coded.panels import coded_panels
from hwaware.compiler.schedules.coded.rows import coded_rows
from hwaware.compiler.schedules.conv import direct_candidates
from hwaware.compiler.schedules.conv_shape import layer_shape
from hwaware.compiler.targets import Target
from hwaware.graph.workload import Workload

_TILES = 3


def coded_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Codewords times inputs where there are few positions; the tiles of float32 weights else."""
    shape = layer_shape(workload)
    few = [Choice.of("coded_rows")] if shape.is_few_rows() else []
    if few and shape.positions == 1:
        return few
    tiles = [choice for choice in direct_candidates(workload, target) if "weights" not in dict(choice.params)]
    return [*few, *(Choice("coded", choice.params) for choice in tiles[:_TILES])]


def coded(builder: KernelBuilder) -> Kernel:
    """Schedules ``coded`` (parameters as those of ``direct``) and ``coded_rows`` of ``conv2d`` and ``dense``."""
    if builder.choice.schedule == "coded_rows":
        return coded_rows(builder, layer_shape(builder.workload))
    return coded_panels(builder)
