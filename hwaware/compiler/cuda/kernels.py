"""Which GPU kernels there are for a workload, and the kernel that a choice stands for."""

from __future__ import annotations

import math
from collections.abc import Callable

from hwaware.compiler.choice import Choice, Variant
from hwaware.compiler.cuda import conv, moves, products, rows, windows
from hwaware.compiler.cuda.builder import BlockBuilder, Written
from hwaware.compiler.cuda.names import ELEMENT, GEMV, MATMUL, REDUCE, ROWS
from hwaware.compiler.cuda.schedule import schedule
from hwaware.compiler.cuda.target import CudaTarget
from hwaware.compiler.kernel import Kernel
from hwaware.errors import BuildError
from hwaware.graph.workload import Workload

_WRITERS: dict[str, Callable[[BlockBuilder], Written]] = {
    "conv2d": conv.conv2d,
    "conv2d_transpose": conv.conv2d_transpose,
    "dense": products.dense,
    "matmul": products.matmul,
    "pool2d": windows.pool2d,
    "resample": windows.resample,
    "reduce": rows.reduce,
    "softmax": rows.softmax,
    "layer_norm": rows.layer_norm,
    "map": moves.map_,
    "copy": moves.copy,
    "embedding": moves.embedding,
}
# Fewer columns than this leave most of a tile of the matrix product's rule unused.
_FEW_COLUMNS = 8
_THREADS = (256, 128)


def candidates(workload: Workload) -> tuple[Choice, ...]:
    """Ways to write `workload`, each once, the one for want of measurements first. Raises BuildError if none."""
    if workload.kind not in _WRITERS:
        raise BuildError(f"no GPU schedule for workload kind {workload.kind!r}")
    return tuple(dict.fromkeys(_RULES.get(workload.kind, _elements)(workload)))


def _elements(workload: Workload) -> list[Choice]:
    return [Choice.of(ELEMENT, threads=threads) for threads in _THREADS]


def _convolution(workload: Workload) -> list[Choice]:
    """Tiles where rows (pixels) and columns (channels of a group) fill them; else, and beside, an element a thread."""
    groups = workload.attr("groups")
    assert isinstance(groups, int)
    columns = workload.output.shape[-1] // groups
    pixels = math.prod(workload.output.shape[:-1])
    if columns < _FEW_COLUMNS or pixels == 1:
        return _elements(workload)
    return [Choice.of(MATMUL), *_elements(workload)[:1]]


def _dense(workload: Workload) -> list[Choice]:
    if workload.inputs[0].shape[0] == 1:
        return [Choice.of(GEMV), *_elements(workload)[:1]]
    return [Choice.of(MATMUL), *_elements(workload)[:1]]


def _reduce(workload: Workload) -> list[Choice]:
    """TVM's rule for reductions knows sums alone."""
    return _elements(workload) if workload.attr("mode") == "max" else [Choice.of(REDUCE), *_elements(workload)[:1]]


_RULES: dict[str, Callable[[Workload], list[Choice]]] = {
    "conv2d": _convolution,
    "conv2d_transpose": _convolution,
    "dense": _dense,
    "matmul": lambda _: [Choice.of(MATMUL), Choice.of(ELEMENT, threads=_THREADS[0])],
    "reduce": _reduce,
    "softmax": lambda _: [Choice.of(ROWS)],
    "layer_norm": lambda _: [Choice.of(ROWS)],
}


def write(workload: Workload, target: CudaTarget, choice: Choice) -> Written:
    """What `workload` computes, as blocks that are not scheduled yet."""
    writer = _WRITERS.get(workload.kind)
    if writer is None:
        raise BuildError(f"no GPU schedule for workload kind {workload.kind!r}")
    return writer(BlockBuilder(workload, target, choice))


def generate(workload: Workload, target: CudaTarget, choice: Choice | None = None) -> Kernel:
    """The kernel of `workload`, by the default schedule unless one is chosen. Raises BuildError."""
    chosen = choice or candidates(workload)[0]
    written = write(workload, target, chosen)
    try:
        scheduled = schedule(written.function, chosen, target, aligned=written.aligned)
    except BuildError as error:
        raise BuildError(f"{workload.key}: {error}") from error
    named = scheduled.with_attr("global_symbol", Variant(workload, chosen).symbol)
    return Kernel(workload, chosen, named, written.arguments, written.packs)
