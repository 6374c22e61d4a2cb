"""Families: the same operation at other channel widths.

Pruning changes widths and nothing else, so a workload is a point of its family: `coordinates` are its widths
in channels, `key` all that stays. Tables interpolate inside a family, never between two.

A workload inside wider memory (a part of a concatenation, a slice of channels) is of the same family as a dense one:
how wide the rest is depends on other channels, and is no part of the key. At other widths the memory around it is
taken to shrink in proportion.

| kind | coordinates |
|---|---|
| conv2d, conv2d_transpose | (in, out); depthwise: (channels,), `out` a fixed multiple of it |
| dense, matmul | (in, out); (batch, m, k, n): attention heads are the batch |
| pool2d, resample | (channels,) |
| reduce | (inner,), or (middle,) where that is the innermost |
| softmax | its shape: heads are among the rows |
| layer_norm, embedding | (width,) |
| map, copy | (rows, elements of a row) |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from hwaware.costs.walks import is_plain, map_at_width, patterns
from hwaware.graph.ir import Spec
from hwaware.graph.lower.copy import Part
from hwaware.graph.workload import IN_PITCH, OUT_PITCH, Workload, canonical

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
    workload = _dense(workload)
    rule = _rule(workload)
    if rule is None:
        return _copies(workload) if workload.kind == "copy" else _maps(workload)
    coordinates = rule.read(workload)
    least = _groups(workload) if _grouped(workload) else 1
    unit = rule.write(workload, (least,) * len(coordinates))
    return Family(f"{rule.name}|{unit.key}", coordinates)


def with_coordinates(workload: Workload, coordinates: Coordinates) -> Workload:
    """The workload at other widths, exactly as lowering a network of these widths makes it, but for its pitches.

    Raises ValueError where widths do not determine it (copies, rows of a map) or do not fit (a grouped convolution).
    """
    if not resizable(workload):
        raise ValueError(f"the widths of {workload.kind} do not determine it")
    own = family(workload).coordinates
    if len(coordinates) != len(own) or min(coordinates) < 1:
        raise ValueError(f"{coordinates} are no widths of {workload.key}")
    rule = _rule(workload)
    if rule is not None:
        if _grouped(workload) and any(width % _groups(workload) for width in coordinates):
            raise ValueError(f"{coordinates} cannot be divided into the groups of {workload.key}")
        return _pitched(rule.write(_dense(workload), coordinates), workload)
    if coordinates[0] != own[0]:
        raise ValueError(f"another number of rows does not determine {workload.key}")
    return _pitched(map_at_width(_dense(workload), coordinates[1]), workload)


def resizable(workload: Workload) -> bool:
    """Whether `with_coordinates` is defined; a map can change its width, not its rows."""
    return _rule(workload) is not None or (workload.kind == "map" and is_plain(workload))


def _dense(work: Workload) -> Workload:
    """The workload without pitches."""
    return replace(work, attrs=tuple(item for item in work.attrs if item[0] not in (IN_PITCH, OUT_PITCH)))


def _pitched(made: Workload, model: Workload) -> Workload:
    """The dense workload `made` with the pitches of `model`, in proportion."""
    attrs = dict(made.attrs)
    if IN_PITCH in dict(model.attrs):
        attrs[IN_PITCH] = model.in_pitch * made.in_width // model.in_width
    if OUT_PITCH in dict(model.attrs):
        attrs[OUT_PITCH] = model.out_pitch * made.out_width // model.out_width
    return replace(made, attrs=canonical(attrs))


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
    batch, m, k, n = to
    first, second = work.inputs
    shape = (batch, n, k) if work.attr("transposed") else (batch, k, n)
    inputs = (Spec((batch, m, k), first.dtype), Spec(shape, second.dtype))
    return replace(work, inputs=inputs, output=Spec((batch, m, n), work.output.dtype))


def _write_whole(work: Workload, to: Coordinates) -> Workload:
    return replace(work, inputs=(Spec(to, work.inputs[0].dtype),), output=Spec(to, work.output.dtype))


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
    "softmax": Rule("softmax", lambda work: work.output.shape, _write_whole),
    "layer_norm": Rule("layer_norm", _width, _write_channels),
    "embedding": Rule("embedding", _width, _write_embedding),
    "matmul": Rule("matmul", lambda work: (*work.inputs[0].shape, work.output.shape[-1]), _write_matmul),
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
    return _RULES.get(work.kind)


def _maps(work: Workload) -> Family:
    """Whatever the shape, a map runs through rows; which of the dimensions is the pruned one does not matter then."""
    shape = work.output.shape
    steps = "+".join(f"{step.name}:{pattern}" for step, pattern in zip(work.epilogue, patterns(work)[1:], strict=True))
    return Family(f"map|{patterns(work)[0]}|{steps}", (math.prod(shape[:-1]), shape[-1]))


def _copies(work: Workload) -> Family:
    """Copies differ by how they walk through memory; rows and their length are what they cost."""
    parts = [_rows_of(part) for part in cast("tuple[Part, ...]", work.attr("parts"))]
    walks = ",".join("dense" if dense else "strided" for _, _, dense in parts)
    fill = "fill" if "fill" in dict(work.attrs) else ""
    rows, _, _ = max(parts, key=lambda part: part[0] * part[1])
    return Family(f"copy|{work.output.dtype}|{walks}|{fill}", (rows, sum(inner for _, inner, _ in parts)))


def _rows_of(part: Part) -> tuple[int, int, bool]:
    """Rows of a move, elements of a row, and whether those lie side by side on both sides."""
    shape, ins, _, outs, _ = part
    # A dimension of size 1 is merged away: what is strided then was rows of one element.
    if outs[-1] != 1 or (len(shape) == 1 and ins[-1] != 1):
        return math.prod(shape), 1, True
    return math.prod(shape[:-1]), shape[-1], ins[-1] == 1
