"""How a ``map`` walks through its operands, and what the walk is at another number of channels.

A walk is one stride a dimension of the output. Where its innermost stride is 1 its source has channels, innermost and
dense, and all other strides are multiples of their number; where it is 0 the source has none and stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

from hwaware.graph.ir import Spec
from hwaware.graph.workload import Attr, Step, Workload

Walk = tuple[int, ...]


def is_plain(workload: Workload) -> bool:
    """Whether every operand is read with channels innermost, or without channels, so that widths determine all."""
    walks = [(workload.ints("strides"), workload.attr("offset"))]
    walks += [(step.operand, step.params[0]) for step in workload.epilogue if isinstance(step.operand, tuple)]
    width = workload.output.shape[-1]
    return all(_is_plain(walk, offset, width) for walk, offset in walks)  # type: ignore[arg-type]


def _is_plain(walk: Walk, offset: int, width: int) -> bool:
    if walk[-1] == 0:
        return True
    return walk[-1] == 1 and all(number % width == 0 for number in (*walk[:-1], offset))


def map_at_width(workload: Workload, width: int) -> Workload:
    """The plain map `workload` with `width` channels."""
    old = workload.output.shape[-1]
    strides = workload.ints("strides")
    source = workload.inputs[0]
    attrs: dict[str, Attr] = {
        "strides": _walk(strides, old, width),
        "offset": _number(int(workload.attr("offset")), strides, old, width),  # type: ignore[arg-type]
    }
    elements = _number(source.shape[0], strides, old, width)
    return replace(
        workload,
        inputs=(Spec((elements,), source.dtype),),
        output=Spec((*workload.output.shape[:-1], width), workload.output.dtype),
        attrs=tuple(sorted(attrs.items())),
        epilogue=tuple(_step(step, old, width) for step in workload.epilogue),
    )


def _step(step: Step, old: int, width: int) -> Step:
    if not isinstance(step.operand, tuple):
        return step
    offset = _number(int(step.params[0]), step.operand, old, width)
    return replace(step, operand=_walk(step.operand, old, width), params=(offset, *step.params[1:]))


def _walk(walk: Walk, old: int, width: int) -> Walk:
    return (*(_number(stride, walk, old, width) for stride in walk[:-1]), walk[-1])


def _number(number: int, walk: Walk, old: int, width: int) -> int:
    return number // old * width if walk[-1] == 1 and number % old == 0 else number


def patterns(workload: Workload) -> list[str]:
    """How the input, and then each step's operand, is read: dense, by channel, by row, at other strides, or not."""
    shape = workload.output.shape
    return [
        _pattern(workload.ints("strides"), shape),
        *(
            _pattern(step.operand, shape) if isinstance(step.operand, tuple) else step.operand
            for step in workload.epilogue
        ),
    ]


def _pattern(walk: Walk, shape: tuple[int, ...]) -> str:
    real = [(stride, size) for stride, size in zip(walk, shape, strict=True) if size > 1]
    dense = 1
    for stride, size in reversed(real):
        if stride != dense:
            break
        dense *= size
    else:
        return "full"
    if walk[-1] == 0:
        return "row"
    return "channel" if walk[-1] == 1 and not any(walk[:-1]) else f"strided{min(walk[-1], 2)}"
