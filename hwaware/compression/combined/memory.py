"""Peak memory as the solver sees it: at a few moments, what lives then, by the widths and precisions chosen.

A buffer has the width of the groups that it is made of, and is a quarter as large where the layer that reads it reads
levels. Weights are there at every moment. The memory plan itself (reuse in place, scratch) is asked when the answer is
checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwaware.compiler.memory import lifetimes, spec_bytes
from hwaware.compression.combined.variants import Holder, Variant
from hwaware.compression.joint.problem import Border, Moment
from hwaware.compression.outline import Outline, Widths
from hwaware.compression.quantize.choices import INTEGER
from hwaware.graph.lower import Program

_MOST = 8
_LEVELS = 0.25  # bytes of levels a byte of float32


@dataclass(frozen=True)
class _Buffer:
    """Bytes at the present widths and, for each group it depends on, at others; the layer that reads it first."""

    name: str
    bytes: float
    by_width: Mapping[str, Mapping[int, float]]
    reader: str | None


def moments(
    outline: Outline,
    present: Widths,
    holders: Sequence[Holder],
    size: tuple[float, Mapping[str, npt.NDArray[np.float64]], Sequence[Border]],
) -> tuple[Moment, ...]:
    """The moments with most alive at the `present` widths. `size` is that of weights: constant, by holder, by pairs."""
    by_layer = {layer: holder for holder in holders for layer in holder.layers}
    by_group = {holder.group: holder for holder in holders if holder.group is not None}
    program = outline.at(present)
    buffers = {buffer.name: buffer for buffer in _buffers(outline, program, present, by_group, set(by_layer))}
    spans = lifetimes(program)
    sets = {
        frozenset(name for name, (first, last) in spans.items() if first <= index <= last and name in buffers)
        for index in range(len(program.ops))
    }
    largest = sorted(sets, key=lambda names: (-sum(buffers[name].bytes for name in names), sorted(names)))[:_MOST]
    return tuple(
        _moment([buffers[name] for name in sorted(names)], holders, by_layer, by_group, size) for names in largest
    )


def _moment(
    alive: Sequence[_Buffer],
    holders: Sequence[Holder],
    by_layer: Mapping[str, Holder],
    by_group: Mapping[str, Holder],
    size: tuple[float, Mapping[str, npt.NDArray[np.float64]], Sequence[Border]],
) -> Moment:
    constant, weights, pairs = size[0], {name: each.copy() for name, each in size[1].items()}, list(size[2])
    for buffer in alive:
        groups = list(buffer.by_width)
        reader = None if buffer.reader is None else by_layer[buffer.reader]
        if len(groups) > 1:
            constant += buffer.bytes
            for group in groups:
                known, here = buffer.by_width[group], buffer.bytes
                holder = by_group[group]
                weights[holder.name] += [known[variant.width or 0] - here for variant in holder.variants]
            continue
        sides = list(
            dict.fromkeys(side for side in (*(by_group[group] for group in groups), reader) if side is not None)
        )
        if not sides:
            constant += buffer.bytes
        elif len(sides) == 1:
            weights[sides[0].name] += [_bytes(buffer, [(sides[0], variant)]) for variant in sides[0].variants]
        else:
            found = np.zeros([len(side.variants) for side in sides])
            for place in np.ndindex(*found.shape):
                chosen = [side.variants[at] for side, at in zip(sides, place, strict=True)]
                found[place] = _bytes(buffer, list(zip(sides, chosen, strict=True)))
            pairs.append(Border(sides[0].name, sides[1].name, "memory", found))
    return Moment(constant, {holder.name: weights[holder.name].tolist() for holder in holders}, tuple(pairs))


def _bytes(buffer: _Buffer, chosen: Sequence[tuple[Holder, Variant]]) -> float:
    found, share = buffer.bytes, 1.0
    for holder, variant in chosen:
        if holder.group is not None and holder.group in buffer.by_width and variant.width is not None:
            found = buffer.by_width[holder.group][variant.width]
        if buffer.reader in holder.layers and holder.precision(variant, buffer.reader) in INTEGER:
            share = _LEVELS
    return share * found


def _buffers(
    outline: Outline, program: Program, present: Widths, by_group: Mapping[str, Holder], layers: set[str]
) -> Iterator[_Buffer]:
    readers: dict[str, str] = {}
    for op in program.ops:
        for name in op.inputs:
            if op.name in layers:
                readers.setdefault(program.memory_of(name), op.name)
    others = {
        group: {
            width: outline.at({**present, group: width}).buffers
            for width in dict.fromkeys(variant.width for variant in holder.variants)
            if width
        }
        for group, holder in by_group.items()
    }
    for name in lifetimes(program):
        if name not in program.buffers:
            continue
        here = float(spec_bytes(program.buffers[name]))
        by_width = {
            group: {width: float(spec_bytes(specs[name])) for width, specs in widths.items()} | {0: 0.0}
            for group, widths in others.items()
            if any(spec_bytes(specs[name]) != here for specs in widths.values())
        }
        yield _Buffer(name, here, by_width, readers.get(name))
