"""Families: the same operation at other channel widths.

Pruning changes widths and nothing else, so a workload is a point of its family: `coordinates` are its widths
in channels, `key` all that stays. Tables interpolate inside a family, never between two.

| kind | coordinates |
|---|---|
| conv2d, conv2d_transpose | (in, out); depthwise: (channels,), `out` a fixed multiple of it |
| dense, matmul | (in, out); (m, k, n) |
| pool2d, resample, map | (channels,) |
| reduce | (inner,), or (middle,) where that is the innermost |
| softmax, layer_norm, embedding | (width,) |
| copy, map over unusual strides | (rows, elements of a row): moves, whatever they are moves of |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from hwaware.costs.walks import is_plain, map_at_width
from hwaware.graph.ir import Spec
from hwaware.graph.lower.copy import Part
from hwaware.graph.workload import Workload

Coordinates = tuple[int, ...]


@dataclass(frozen=True)
class Family:
    """`key` names the family, `coordinates` the place of one workload in it."""

    key: str
    coordinates: Coordinates


@dataclass(frozen=True)
class Rule:
    """How widths are read from a workload of some kind, and how it looks at other ones."""

    name: str
    read: Callable[[Workload], Coordinates]
    write: Callable[[Workload, Coordinates], Workload]


def family(workload: Workload) -> Family:
    """The family of `workload` and its coordinates there."""
    rule = _rule(workload)
    if rule is None:
        return _moves(workload)
    coordinates = rule.read(workload)
    least = _groups(workload) if _grouped(workload) else 1
    unit = rule.write(workload, (least,) * len(coordinates))
    return Family(f"{rule.name}|{unit.key}", coordinates)


def with_coordinates(workload: Workload, coordinates: Coordinates) -> Workload:
    """The workload at other widths, exactly as lowering a network of these widths makes it.

    Raises ValueError where widths do not determine it (copies) or do not fit (a grouped convolution).
    """
    rule = _rule(workload)
    if rule is None:
        raise ValueError(f"the widths of {workload.kind} do not determine it")
    if len(coordinates) != len(rule.read(workload)) or min(coordinates) < 1:
        raise ValueError(f"{coordinates} are no widths of {workload.key}")
    if _grouped(workload) and any(width % _groups(workload) for width in coordinates):
        raise ValueError(f"{coordinates} cannot be divided into the groups of {workload.key}")
    return rule.write(workload, coordinates)


def resizable(workload: Workload) -> bool:
    """Whether `with_coordinates` is defined."""
    return _rule(workload) is not None


# What stays of the shape when the channels, innermost, change.


def _last(spec: Spec, width: int) -> Spec:
    return Spec((*spec.shape[:-1], width), spec.dtype)


def _in_out(work: Workload) -> Coordinates:
    return work.inputs[0].shape[-1], work.output.shape[-1]


def _write_in_out(work: Workload, to: Coordinates) -> Workload:
    return replace(work, inputs=(_last(work.inputs[0], to[0]),), output=_last(work.output, to[1]))


def _write_depthwise(work: Workload, to: Coordinates) -> Workload:
    channels = work.inputs[0].shape[-1]
    multiplier = work.output.shape[-1] // channels
    attrs = tuple((name, to[0] if name == "groups" else value) for name, value in work.attrs)
    return _write_in_out(replace(work, attrs=attrs), (to[0], to[0] * multiplier))


def _write_channels(work: Workload, to: Coordinates) -> Workload:
    return _write_in_out(work, (to[0], to[0]))


def _write_columns(work: Workload, to: Coordinates) -> Workload:
    return replace(work, inputs=(_last(work.inputs[0], to[0]),), output=_last(work.output, to[0]))


def _write_rows(work: Workload, to: Coordinates) -> Workload:
    outer, _, inner = work.inputs[0].shape
    return replace(work, inputs=(Spec((outer, to[0], inner), work.inputs[0].dtype),))


def _write_matmul(work: Workload, to: Coordinates) -> Workload:
    m, k, n = to
    first, second = work.inputs
    batch = first.shape[0]
    shape = (batch, n, k) if work.attr("transposed") else (batch, k, n)
    inputs = (Spec((batch, m, k), first.dtype), Spec(shape, second.dtype))
    return replace(work, inputs=inputs, output=Spec((batch, m, n), work.output.dtype))


def _width(work: Workload) -> Coordinates:
    return (work.output.shape[-1],)


def _write_embedding(work: Workload, to: Coordinates) -> Workload:
    return replace(work, output=_last(work.output, to[0]))


_CONV = Rule("conv", _in_out, _write_in_out)
_GROUPED = Rule("grouped", _in_out, _write_in_out)
_DEPTHWISE = Rule("depthwise", lambda work: (work.inputs[0].shape[-1],), _write_depthwise)
_COLUMNS = Rule("columns", _width, _write_columns)
_ROWS = Rule("rows", lambda work: (work.inputs[0].shape[1],), _write_rows)
_RULES = {
    "dense": Rule("dense", _in_out, _write_in_out),
    "pool2d": Rule("pool", _width, _write_channels),
    "resample": Rule("resample", _width, _write_channels),
    "softmax": Rule("softmax", _width, _write_channels),
    "layer_norm": Rule("layer_norm", _width, _write_channels),
    "embedding": Rule("embedding", _width, _write_embedding),
    "matmul": Rule("matmul", lambda work: (*work.inputs[0].shape[1:], work.output.shape[-1]), _write_matmul),
    "map": Rule("map", _width, lambda work, to: map_at_width(work, to[0])),
}


def _groups(work: Workload) -> int:
    return cast(int, dict(work.attrs).get("groups", 1))


def _depthwise(work: Workload) -> bool:
    return 1 < _groups(work) == work.inputs[0].shape[-1]


def _grouped(work: Workload) -> bool:
    return _groups(work) > 1 and not _depthwise(work)


def _rule(work: Workload) -> Rule | None:
    if work.kind in ("conv2d", "conv2d_transpose"):
        return _DEPTHWISE if _depthwise(work) else _GROUPED if _grouped(work) else _CONV
    if work.kind == "reduce":
        return _COLUMNS if work.inputs[0].shape[2] > 1 else _ROWS
    if work.kind == "map" and not is_plain(work):
        return None
    return _RULES.get(work.kind)


def _moves(work: Workload) -> Family:
    """Copies differ by how they walk through memory; rows and their length are what they cost."""
    steps = "+".join(step.name for step in work.epilogue)
    if work.kind == "map":
        shape = work.output.shape
        walk = f"strided{work.ints('strides')[-1] == 1}"
        return Family(f"moves|map|{len(shape)}|{walk}|{steps}", (math.prod(shape[:-1]), shape[-1]))
    parts = cast("tuple[Part, ...]", work.attr("parts"))
    walks = [f"{len(shape)}{'c' if ins[-1] == outs[-1] == 1 else 's'}" for shape, ins, _, outs, _ in parts]
    largest = max((shape for shape, *_ in parts), key=math.prod)
    fill = "fill" if "fill" in dict(work.attrs) else ""
    key = f"moves|copy|{work.output.dtype}|{','.join(walks)}|{fill}"
    return Family(key, (math.prod(largest[:-1]), sum(shape[-1] for shape, *_ in parts)))
