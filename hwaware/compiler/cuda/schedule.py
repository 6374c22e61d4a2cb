"""Schedules of GPU kernels: TVM's rules for what they are good at, one of ours for the rest.

A rule gives nothing for a function that is not of its form; then the next one is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tvm import s_tir
from tvm.s_tir import dlight
from tvm.target import Target as TvmTarget

from hwaware.compiler.choice import Choice
from hwaware.compiler.cuda.names import ELEMENT, GEMV, MATMUL, REDUCE, ROWS
from hwaware.compiler.cuda.target import CudaTarget
from hwaware.errors import BuildError

# Threads of a block where the choice does not say.
THREADS = 256

Rule = Callable[[Any, Any], Any]  # of a function and TVM's target: a schedule or None


def schedule(function: Any, choice: Choice, target: CudaTarget, *, aligned: bool) -> Any:
    """`function` bound to blocks and threads. Raises BuildError, saying what each rule said, where none is of use.

    Not `aligned`: an argument may begin at any element, so nothing is loaded or stored as a vector.
    """
    described = TvmTarget(target.cuda())
    reasons = []
    with described:
        for rule in _rules(choice, aligned=aligned):
            try:
                found = rule(function, described)
            except Exception as error:
                # TVM's rules try things out and do not catch all that may go wrong with an unusual shape.
                reasons.append(str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__)
                continue
            if found is not None:
                return found.mod["main"]
    raise BuildError(f"no schedule for a GPU: {'; '.join(reasons) or 'no rule applies'}")


def _rules(choice: Choice, *, aligned: bool) -> list[Rule]:
    threads = choice.get("threads", THREADS)
    first: dict[str, list[Rule]] = {
        MATMUL: [lambda function, target: _matmul(function, target, 2 if aligned else 1)],
        GEMV: [_of(dlight.gpu.GEMV())] if aligned else [],
        REDUCE: [_of(dlight.gpu.Reduction())],
        ROWS: [_of(dlight.gpu.GeneralReduction())],
        ELEMENT: [],
    }
    if choice.schedule not in first:
        raise BuildError(f"no GPU schedule is called {choice.schedule!r}: known are {', '.join(first)}")
    return [
        *first[choice.schedule],
        lambda function, _: per_element(function, threads),
        _of(dlight.gpu.Fallback()),
    ]


def _of(rule: Any) -> Rule:
    return lambda function, target: rule.apply(function, target, False)


def _matmul(function: Any, target: Any, vector: int) -> Any:
    rule = dlight.gpu.Matmul()
    config = replace(rule.get_configs(target), vector_size=vector)
    rule.get_configs = lambda _: config
    return rule.apply(function, target, False)


def per_element(function: Any, threads: int) -> Any:
    """A thread for each element of one reduction, and of the steps behind it, which stay in a register.

    Blocks without a reduction have threads of their own, block by block. None where there is more than one reduction,
    or anything but one block behind it.
    """
    made = s_tir.Schedule(function)
    blocks = dlight.normalize_prim_func(made)
    blocks = dlight.try_inline_contiguous_spatial(made, blocks)
    if blocks is None:
        return None
    if all(set(block.dom_kind()) <= {"S"} for block in blocks):
        for block in blocks:
            _bind(made, made.get_loops(block.block_rv), threads)
        return made
    if len(blocks) > 2 or not blocks[0].is_reduction():
        return None
    if len(blocks) == 2 and not blocks[1].is_injective():
        return None
    total = blocks[0].block_rv
    loops = list(zip(made.get_loops(total), blocks[0].dom_kind(), strict=True))
    kept, reduced = ([loop for loop, kind in loops if kind == wanted] for wanted in "SR")
    made.reorder(*kept, *reduced)
    thread = _bind(made, kept, threads)
    if len(blocks) == 2:
        made.reverse_compute_at(blocks[1].block_rv, thread, preserve_unit_loops=True)
        made.set_scope(total, 0, "local")
    made.decompose_reduction(total, reduced[0])
    return made


def _bind(made: Any, loops: Any, threads: int) -> Any:
    """Spread `loops` over blocks of `threads`; the loop of the threads."""
    fused = made.fuse(*loops)
    # No more threads than elements: of a single one TVM forgets that it is the first thread's alone to write.
    block, thread = made.split(fused, factors=[None, min(threads, int(made.get(fused).extent))])
    made.bind(block, "blockIdx.x")
    made.bind(thread, "threadIdx.x")
    return thread
