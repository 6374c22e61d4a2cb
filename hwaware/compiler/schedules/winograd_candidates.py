"""Which Winograd schedules are worth measuring for a convolution."""

from __future__ import annotations

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import ceil_div
from hwaware.compiler.schedules.tile import vector_widths
from hwaware.compiler.schedules.winograd_transforms import TAPS, filtering
from hwaware.compiler.targets import Target
from hwaware.graph.workload import Workload

# Shares of the work: enough for four threads to balance, and each with memory of its own.
TASKS = 4
# Cycles a vector and a point of both transforms together, and bytes of weights a cycle from beyond the caches.
_TRANSFORM_CYCLES = 6.0
_WEIGHT_BYTES = 8.0
# A model this coarse does not tell apart what is closer than this.
_MARGIN = 1.1


def winograd_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Choices for the schedule ``winograd``, the best guess first; none where direct convolution is surely faster."""
    if not _applies(workload):
        return []
    costs = {m: _cycles(workload, target, m) for m in (4, 2) if min(workload.output.shape[1:3]) >= m}
    best = min(_direct_cycles(workload, target), *costs.values(), float("inf"))
    near = sorted((m for m, cost in costs.items() if cost <= best * _MARGIN), key=lambda m: costs[m])
    return [choice for m in near for choice in _choices(workload, target, m)]


def _applies(workload: Workload) -> bool:
    wanted = {"kernel": (TAPS, TAPS), "stride": (1, 1), "dilation": (1, 1), "groups": 1}
    return workload.kind == "conv2d" and all(workload.attr(name) == value for name, value in wanted.items())


def _choices(workload: Workload, target: Target, m: int) -> list[Choice]:
    """Strips for each task, whose V and M share the second-level cache, or tasks within a strip so large that weights
    beyond the caches are read once or seldom; each also for one thread, with memory for one."""
    channels, outputs = workload.inputs[0].shape[3], workload.output.shape[3]
    points = filtering(m).points ** 2
    row = 4 * points * channels
    weights = row * outputs
    small = max(4, target.l2 // 3 // (row + 4 * points * 2 * target.lanes))
    large = max(4, target.l2 // row, outputs // 8)
    strips = [Choice.of("winograd", tile=m, strip=small, tasks=tasks) for tasks in (TASKS, 1)]
    within = [
        Choice.of("winograd", tile=m, strip=large, tasks=TASKS, split=1),
        Choice.of("winograd", tile=m, strip=large),
    ]
    if weights <= target.l2 // 2:
        return strips
    if weights <= 4 * target.l2:
        return [strips[0], within[0], strips[1], within[1]]
    return within


def _tiles(workload: Workload, m: int) -> int:
    batch, height, width, _ = workload.output.shape
    return batch * ceil_div(height, m) * ceil_div(width, m)


def _cycles(workload: Workload, target: Target, m: int) -> float:
    """Modelled time of F(m×m, 3×3) on one core: multiply-adds or reading weights, and the transforms."""
    channels, outputs = workload.inputs[0].shape[3], workload.output.shape[3]
    lanes, points, tiles = target.lanes, filtering(m).points ** 2, _tiles(workload, m)
    vectors = len(vector_widths(outputs, lanes))
    multiply = points * tiles * channels * vectors * target.fma_cycles
    weights = 4 * points * channels * outputs / _WEIGHT_BYTES
    transform = points * tiles * (len(vector_widths(channels, lanes)) + vectors) * _TRANSFORM_CYCLES
    return max(multiply, weights) + transform


def _direct_cycles(workload: Workload, target: Target) -> float:
    batch, height, width, outputs = workload.output.shape
    vectors = len(vector_widths(outputs, target.lanes))
    return batch * height * width * TAPS**2 * workload.inputs[0].shape[3] * vectors * target.fma_cycles
