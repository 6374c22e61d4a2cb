"""Static memory plan: every buffer's place in one arena, memory reused once its last reader is done."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwaware.graph.ir import Spec
from hwaware.graph.lower import Program

ALIGNMENT = 64


@dataclass(frozen=True)
class Scratch:
    """Memory that an operation needs while it runs: bytes in all, in equal slices for `tasks` that run side by side."""

    bytes: int
    tasks: int = 1


@dataclass(frozen=True)
class MemoryPlan:
    """`offsets` of the buffers in an arena of `size` bytes; those of slices lie inside their buffers'."""

    offsets: Mapping[str, int]
    size: int


def align(count: int) -> int:
    """`count` bytes rounded up to the alignment of tensors."""
    return -(-count // ALIGNMENT) * ALIGNMENT


def spec_bytes(spec: Spec) -> int:
    """Bytes of a tensor."""
    return math.prod(spec.shape) * np.dtype(spec.dtype).itemsize


def lifetimes(program: Program) -> dict[str, tuple[int, int]]:
    """First and last operation during which the memory of each buffer holds something that is still needed.

    A buffer that is written in parts lives from the first of its writers on, until the last reader of any slice.

    Inputs and outputs stay for the whole run: the caller writes the ones once and may run again, and reads the others
    when it likes.
    """
    last = len(program.ops)
    spans = {buffer: (0, last) for _, buffer, _ in [*program.inputs, *program.outputs]}
    for index, op in enumerate(program.ops):
        for name in (*op.inputs, op.output):
            memory = program.memory_of(name)
            first, end = spans.get(memory, (index, index))
            spans[memory] = (min(first, index), max(end, index))
    return spans


def scratch_name(op: str, index: int) -> str:
    """What a piece of an operation's scratch memory is called in a plan; no buffer has a slash in its name."""
    return f"{op}/scratch{index}"


def plan_memory(program: Program, scratch: Mapping[str, Sequence[Scratch]] | None = None) -> MemoryPlan:
    """Place buffers from the largest down, each in the lowest gap that is free during its whole life.

    `scratch` gives, by an operation's name, each piece of memory that it needs while it runs. Pieces that tasks share
    come after all else, and operations reuse those of the very same size only: then a slice is always the same
    thread's, and its lines stay in that core's cache. Reused at will, they made convolutions on two threads up to 1.9
    times as slow.
    """
    kept: dict[tuple[int, Scratch], list[str]] = {}
    spans = lifetimes(program)
    sizes = {name: align(spec_bytes(program.buffers[name])) for name in spans}
    for index, op in enumerate(program.ops):
        for number, piece in enumerate((scratch or {}).get(op.name, ())):
            name = scratch_name(op.name, number)
            if piece.tasks > 1:
                kept.setdefault((number, piece), []).append(name)
            else:
                spans[name], sizes[name] = (index, index), align(piece.bytes)
    placed: list[tuple[int, int, tuple[int, int]]] = []  # offset, end, life
    offsets: dict[str, int] = {}
    for name in sorted(spans, key=lambda item: (-sizes[item], item)):
        first, last = spans[name]
        offset = 0
        for start, end, (born, dead) in sorted(placed):
            if born <= last and first <= dead and start < offset + sizes[name] and offset < end:
                offset = end
        offsets[name] = offset
        placed.append((offset, offset + sizes[name], spans[name]))
    for name, part in program.slices.items():
        offsets[name] = offsets[part.buffer] + part.offset * np.dtype(program.buffers[name].dtype).itemsize
    total = max((end for _, end, _ in placed), default=0)
    for (_, piece), names in kept.items():
        offsets |= dict.fromkeys(names, total)
        total += align(piece.bytes)
    return MemoryPlan(offsets, max(total, ALIGNMENT))
