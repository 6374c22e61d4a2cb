"""The schedules, and which of them a kind of workload may be written by."""

from __future__ import annotations

from collections.abc import Callable

from hwaware.compiler.choice import Choice, Chooser, Variant
from hwaware.compiler.cuda.target import CudaTarget
from hwaware.compiler.kernel import Kernel, KernelBuilder, Schedule
from hwaware.compiler.schedules.coded.layer import coded, coded_candidates
from hwaware.compiler.schedules.conv import direct, direct_candidates
from hwaware.compiler.schedules.depthwise import depthwise, depthwise_candidates
from hwaware.compiler.schedules.grouped import grouped, grouped_candidates
from hwaware.compiler.schedules.integer.conv import integer, integer_candidates
from hwaware.compiler.schedules.matmul import matmul, matmul_candidates, matmul_dot
from hwaware.compiler.schedules.plain import copy, embedding, map_, reduce, resample
from hwaware.compiler.schedules.pool import pool2d
from hwaware.compiler.schedules.rows import layer_norm, softmax
from hwaware.compiler.schedules.sparse.layer import sparse, sparse_candidates
from hwaware.compiler.schedules.stored import stored, stored_candidates
from hwaware.compiler.schedules.transpose import conv2d_transpose
from hwaware.compiler.schedules.winograd import winograd
from hwaware.compiler.schedules.winograd_candidates import winograd_candidates
from hwaware.compiler.targets import Target
from hwaware.errors import BuildError
from hwaware.graph.workload import CODEBOOK, SPARSE, STORED, Workload

Candidates = Callable[[Workload, Target], list[Choice]]

SCHEDULES: dict[str, Schedule] = {
    "direct": direct,
    "winograd": winograd,
    "grouped": grouped,
    "stored": stored,
    "coded": coded,
    "coded_rows": coded,
    "sparse": sparse,
    "sparse_rows": sparse,
    "integer": integer,
    "integer_depthwise": depthwise,
    "depthwise": depthwise,
    "conv2d_transpose": conv2d_transpose,
    "matmul": matmul,
    "matmul_dot": matmul_dot,
    "pool2d": pool2d,
    "reduce": reduce,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "embedding": embedding,
    "resample": resample,
    "copy": copy,
    "map": map_,
}


def _plain(name: str) -> Candidates:
    """A single way to write it."""
    return lambda workload, target: [Choice.of(name)]


# Schedules whose kind has another name, or several ways.
_CHOSEN = (
    *("direct", "winograd", "grouped", "matmul_dot", "integer", "integer_depthwise", "stored"),
    *("coded", "coded_rows", "sparse", "sparse_rows"),
)

# What a kind can be written by, the best guess first; a rule gives nothing where it does not apply.
RULES: dict[str, tuple[Candidates, ...]] = {
    **{name: (_plain(name),) for name in SCHEDULES if name not in _CHOSEN},
    "stored": (stored_candidates,),
    "coded": (coded_candidates,),
    "sparse": (sparse_candidates,),
    "integer": (integer_candidates,),
    "conv2d": (winograd_candidates, grouped_candidates, direct_candidates),
    "dense": (direct_candidates,),
    "depthwise": (depthwise_candidates,),
    "integer_depthwise": (depthwise_candidates,),
    "matmul": (matmul_candidates,),
}


_FORMS = {SPARSE: "sparse", CODEBOOK: "coded"}


def schedule_name(workload: Workload) -> str:
    """The name under which a workload's schedules stand in `RULES`."""
    if workload.kind not in ("conv2d", "dense"):
        return workload.kind
    channels = (workload.inputs[0].shape[-1], workload.output.shape[-1])
    depthwise = workload.kind == "conv2d" and channels == (workload.attr("groups"),) * 2 != (1, 1)
    if workload.inputs[0].dtype == "uint8":
        return "integer_depthwise" if depthwise else "integer"
    form = str(dict(workload.attrs).get(STORED, ""))
    if form and not depthwise:
        return next((name for start, name in _FORMS.items() if form.startswith(start)), "stored")
    return "depthwise" if depthwise else workload.kind


def candidates(workload: Workload, target: Target) -> tuple[Choice, ...]:
    """Ways to write `workload`, each once, the one for want of measurements first. Raises BuildError if none."""
    if isinstance(target, CudaTarget):
        from hwaware.compiler.cuda import kernels

        return kernels.candidates(workload)
    rules = RULES.get(schedule_name(workload), ())
    found = tuple(dict.fromkeys(choice for rule in rules for choice in rule(workload, target)))
    if not found:
        raise BuildError(f"no schedule for workload kind {workload.kind!r}")
    return found


def variant(workload: Workload, target: Target, chooser: Chooser | None = None) -> Variant:
    """`workload` by the schedule that was measured to be best, or the default one where nothing was."""
    possible = candidates(workload, target)
    measured = chooser.of(workload) if chooser is not None else None
    # A neighbour's schedule may not exist at this width: Winograd's with three channels, say.
    if measured is None or measured.schedule not in {choice.schedule for choice in possible}:
        measured = possible[0]
    return Variant(workload, measured)


def generate(workload: Workload, target: Target, choice: Choice | None = None) -> Kernel:
    """The kernel of `workload` for `target`, by the default schedule unless one is chosen."""
    if isinstance(target, CudaTarget):
        from hwaware.compiler.cuda import kernels

        return kernels.generate(workload, target, choice)
    chosen = choice or candidates(workload, target)[0]
    schedule = SCHEDULES.get(chosen.schedule)
    if schedule is None:
        raise BuildError(f"no schedule is called {chosen.schedule!r}: known are {', '.join(sorted(SCHEDULES))}")
    return schedule(KernelBuilder(workload, target, chosen))
