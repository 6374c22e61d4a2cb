"""The lowered program of a graph at other widths of its channel groups, without slicing the graph again.

Widths enter a program linearly: every coordinate of an operation's family and every size of a buffer is a
constant plus, for each group, its width times a whole number (16 where a 4×4 map was flattened, two groups
behind a concatenation). Slicing one class off each group in turn shows these numbers. Where they do not hold
(classes of unequal weight) and for operations whose coordinates do not determine them (copies), the graph is
sliced and lowered for real.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hwaware.compression.ties import untied
from hwaware.costs.family import family, resizable, with_coordinates
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.ir import Graph, Spec
from hwaware.graph.lower import FusedOp, Program, lower
from hwaware.graph.slicing import slice_graph
from hwaware.graph.widening import widen_graph
from hwaware.graph.workload import Workload

Widths = Mapping[str, int]
Form = Callable[[Graph], Graph]
_Units = dict[str, tuple[int, ...]]  # group -> what one of its channels adds to each number


@dataclass(frozen=True)
class OutlineOp:
    """An operation of the outline; the groups in `units` are those its cost depends on."""

    op: FusedOp
    workload: Workload  # at full widths
    units: _Units


@dataclass(frozen=True)
class _Reading:
    """What one channel of each group adds, by operation and by buffer."""

    ops: dict[str, _Units]
    buffers: dict[str, _Units]


class Outline:
    """`graph` (static) with the groups in `gone` at width 0, for any widths of the other `groups`.

    `whole` is the outline without any gone, which spares the slicing of every group where it still holds; `form` is
    what becomes of the graph, once its groups have their widths, before it is lowered (layers in other precisions).
    Raises ModelError where nothing of the input would reach the output.
    """

    def __init__(
        self,
        graph: Graph,
        groups: Sequence[ChannelGroup],
        gone: frozenset[str] = frozenset(),
        whole: Outline | None = None,
        form: Form | None = None,
    ) -> None:
        self._graph, self._whole, self._groups, self._form = graph, whole, groups, form
        self._gone = sorted(gone)
        self._full = {group.name: group.size for group in groups if group.name not in gone}
        self._even = all(
            len(set(member.unit)) == 1 for group in groups for member in group.members if group.name in self._full
        )
        self._lowered: dict[tuple[int, ...], Program] = {}
        self.program = self.lowered(self._full)

    def lowered(self, widths: Widths) -> Program:
        """The graph sliced (or widened) to `widths` and lowered: exact, and slow."""
        key = tuple(widths[name] for name in self._full)
        if key not in self._lowered:
            asked = dict(zip(self._full, key, strict=True))
            resized = self.resized(asked)
            self._lowered[key] = lower(resized if self._form is None else self._form(resized))
        return self._lowered[key]

    def resized(self, widths: Widths) -> Graph:
        """The graph sliced (or widened) to `widths`, in the form it came in."""
        widths = {**widths, **dict.fromkeys(self._gone, 0)}
        if any(width > self._full[name] for name, width in widths.items() if name in self._full):
            return widen_graph(self._graph, untied(self._groups, widths), seed=0)
        return slice_graph(self._graph, untied(self._groups, {name: range(width) for name, width in widths.items()}))

    def linear(self, widths: Widths) -> bool:
        """Whether the outline holds at `widths`; if not, only the lowered graph tells.

        A single channel is a case of its own: moving channels innermost moves nothing then, and is left out.
        """
        return self._even and self._reading is not None and all(widths[name] > 1 for name in self._full)

    @cached_property
    def ops(self) -> tuple[OutlineOp, ...]:
        """The operations, with what each group's channels add to their coordinates."""
        units = self._reading.ops if self._reading is not None else {}
        # Without a reading any group may change any operation.
        none: tuple[int, ...] = ()
        unknown = {} if units else dict.fromkeys(self._full, none)
        return tuple(OutlineOp(op, op.workload, units.get(op.name, unknown)) for op in self.program.ops)

    def workload(self, op: OutlineOp, widths: Widths) -> Workload | None:
        """What `op` computes at `widths`; None where there is nothing to do."""
        if not op.units:
            return op.workload
        if self._reading is None or not resizable(op.workload):
            program = self.lowered(self._full | {name: widths[name] for name in op.units})
            return next((other.workload for other in program.ops if other.name == op.op.name), None)
        return with_coordinates(op.workload, _moved(family(op.workload).coordinates, op.units, self._full, widths))

    def at(self, widths: Widths) -> Program:
        """A program with the buffers of `widths`, for the memory plan; its operations are as at full widths."""
        if not self.linear(widths) or self._reading is None:
            return self.lowered(widths)
        units = self._reading.buffers
        buffers = {
            name: Spec(_moved(spec.shape, units[name], self._full, widths), spec.dtype)
            for name, spec in self.program.buffers.items()
        }
        return replace(self.program, buffers=buffers)

    @cached_property
    def _reading(self) -> _Reading | None:
        """From the whole outline where that predicts this one, else from slicing; None where widths are not linear."""
        return (self._whole and self._inherited(self._whole)) or self._probed()

    def _probed(self) -> _Reading | None:
        """One class less, group by group; a group of one class stays as it is."""
        reading = _Reading({op.name: {} for op in self.program.ops}, {name: {} for name in self.program.buffers})
        for name, size in self._full.items():
            probe = self.lowered({**self._full, name: size - 1}) if size > 1 else self.program
            if [op.name for op in probe.ops] != list(reading.ops) or probe.buffers.keys() != reading.buffers.keys():
                return None
            for here, less in zip(self.program.ops, probe.ops, strict=True):
                step = _difference(family(here.workload).coordinates, family(less.workload).coordinates)
                if any(step):
                    reading.ops[here.name][name] = step
            for buffer, spec in self.program.buffers.items():
                step = _difference(spec.shape, probe.buffers[buffer].shape)
                if any(step):
                    reading.buffers[buffer][name] = step
        return reading

    def _inherited(self, whole: Outline) -> _Reading | None:
        """The reading of the whole outline, if taking the gone groups' channels off it gives this program."""
        if whole._reading is None:
            return None
        widths = dict.fromkeys(self._gone, 0) | self._full
        bases = {op.name: family(op.workload).coordinates for op in whole.program.ops}
        for op in self.program.ops:
            units = whole._reading.ops.get(op.name)
            coordinates = family(op.workload).coordinates
            if units is None or _moved(bases[op.name], units, whole._full, widths) != coordinates:
                return None
        for name, spec in self.program.buffers.items():
            units = whole._reading.buffers.get(name)
            if units is None or _moved(whole.program.buffers[name].shape, units, whole._full, widths) != spec.shape:
                return None
        return _Reading(
            {op.name: self._left(whole._reading.ops[op.name]) for op in self.program.ops},
            {name: self._left(whole._reading.buffers[name]) for name in self.program.buffers},
        )

    def _left(self, units: _Units) -> _Units:
        return {name: step for name, step in units.items() if name in self._full}


def _difference(whole: tuple[int, ...], less: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(whole, less, strict=True))


def _moved(base: tuple[int, ...], units: _Units, full: Widths, widths: Widths) -> tuple[int, ...]:
    return tuple(
        at - sum((full[name] - widths[name]) * step[axis] for name, step in units.items())
        for axis, at in enumerate(base)
    )
