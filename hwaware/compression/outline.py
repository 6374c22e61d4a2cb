"""The lowered program of a graph at other widths of its channel groups, without slicing the graph again.

Widths enter a program linearly: every coordinate of an operation's family and every size of a buffer is a
constant plus, for each group, its width times a whole number (16 where a 4×4 map was flattened, two groups
behind a concatenation). Slicing one class off each group in turn shows these numbers. Where they do not hold
(classes of unequal weight) and for operations whose coordinates do not determine them (copies), the graph is
sliced and lowered for real.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hwaware.costs.family import family, resizable, with_coordinates
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.ir import Graph, Spec
from hwaware.graph.lower import FusedOp, Program, lower
from hwaware.graph.slicing import slice_graph
from hwaware.graph.workload import Workload

Widths = Mapping[str, int]
_Units = dict[str, tuple[int, ...]]  # group -> what one of its channels adds to each number


@dataclass(frozen=True)
class OutlineOp:
    """An operation of the outline; `groups` are those its cost depends on."""

    op: FusedOp
    workload: Workload  # at full widths
    units: _Units

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups whose width changes the operation."""
        return tuple(self.units)


class Outline:
    """`graph` (static) with the groups in `gone` at width 0, for any widths of the other `groups`.

    Raises ModelError where nothing of the input would reach the output.
    """

    def __init__(self, graph: Graph, groups: Sequence[ChannelGroup], gone: frozenset[str]) -> None:
        self._graph = graph
        self._gone: dict[str, Sequence[int]] = dict.fromkeys(sorted(gone), ())
        self._full = {group.name: group.size for group in groups if group.name not in gone}
        self._even = all(
            len(set(member.unit)) == 1 for group in groups for member in group.members if group.name in self._full
        )
        self._lowered: dict[tuple[int, ...], Program] = {}
        self.program = self.lowered(self._full)

    def lowered(self, widths: Widths) -> Program:
        """The graph sliced to `widths` and lowered: exact, and slow."""
        key = tuple(widths[name] for name in self._full)
        if key not in self._lowered:
            keep = self._gone | {name: range(width) for name, width in zip(self._full, key, strict=True)}
            self._lowered[key] = lower(slice_graph(self._graph, keep))
        return self._lowered[key]

    @cached_property
    def ops(self) -> tuple[OutlineOp, ...]:
        """The operations with what each group's channels add to their coordinates."""
        bases = [family(op.workload).coordinates for op in self.program.ops]
        units: list[_Units] = [{} for _ in bases]
        for name, program in self._probes.items():
            for base, op, found in zip(bases, program.ops, units, strict=True):
                step = _difference(base, family(op.workload).coordinates)
                if any(step):
                    found[name] = step
        return tuple(OutlineOp(op, op.workload, found) for op, found in zip(self.program.ops, units, strict=True))

    def linear(self, widths: Widths) -> bool:
        """Whether the outline holds at `widths`; if not, only the lowered graph tells.

        A single channel is a case of its own: moving channels innermost moves nothing then, and is left out.
        """
        return self._even and self._stable and all(widths[name] > 1 for name in self._full)

    @cached_property
    def _stable(self) -> bool:
        """Whether a class less leaves operations and buffers the same ones."""
        names = [op.name for op in self.program.ops]
        return all(
            [op.name for op in probe.ops] == names and probe.buffers.keys() == self.program.buffers.keys()
            for probe in self._probes.values()
        )

    @cached_property
    def _probes(self) -> dict[str, Program]:
        """One class less, group by group; a group of one class stays as it is."""
        return {name: self.lowered({**self._full, name: size - 1}) for name, size in self._full.items() if size > 1}

    def workload(self, op: OutlineOp, widths: Widths) -> Workload | None:
        """What `op` computes at `widths`; None where there is nothing to do."""
        if not op.units:
            return op.workload
        if not resizable(op.workload):
            program = self.lowered(self._full | {name: widths[name] for name in op.units})
            return next((other.workload for other in program.ops if other.name == op.op.name), None)
        return with_coordinates(op.workload, _moved(family(op.workload).coordinates, op.units, self._full, widths))

    def at(self, widths: Widths) -> Program:
        """A program with the buffers of `widths`, for the memory plan; its operations are as at full widths."""
        if not self.linear(widths):
            return self.lowered(widths)
        buffers = {
            name: Spec(_moved(spec.shape, self._buffers[name], self._full, widths), spec.dtype)
            for name, spec in self.program.buffers.items()
        }
        return replace(self.program, buffers=buffers)

    @cached_property
    def _buffers(self) -> dict[str, _Units]:
        return {
            name: {
                group: _difference(spec.shape, probe.buffers[name].shape)
                for group, probe in self._probes.items()
                if probe.buffers[name].shape != spec.shape
            }
            for name, spec in self.program.buffers.items()
        }


def _difference(whole: tuple[int, ...], less: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(whole, less, strict=True))


def _moved(base: tuple[int, ...], units: _Units, full: Widths, widths: Widths) -> tuple[int, ...]:
    return tuple(
        at - sum((full[name] - widths[name]) * step[axis] for name, step in units.items())
        for axis, at in enumerate(base)
    )
