"""What a model costs at any widths of its channel groups, and what one channel of a group is worth.

Latency is the sum over the operations that lowering makes at these widths, each from the measured table; a width
the table does not reach is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from hwaware.compiler.assemble import program_memory
from hwaware.compiler.choice import Chooser
from hwaware.compiler.kernel import WEIGHT
from hwaware.compiler.memory import Scratch, align, plan_memory
from hwaware.compiler.schedules import generate, variant
from hwaware.compiler.targets import Target
from hwaware.compression.budget import Costs
from hwaware.compression.meters import (
    ACTIVATIONS,
    FLOPS,
    LATENCY,
    MEMORY,
    ROOFLINE,
    SIZE,
    Meter,
    Roof,
    activations,
    flops,
)
from hwaware.compression.outline import Form, Outline, OutlineOp, Widths
from hwaware.costs.prediction import Cost, Prediction
from hwaware.errors import MissingCostError, ModelError
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.ir import Graph
from hwaware.graph.lower import Program
from hwaware.graph.workload import Workload


class CostSource(Protocol):
    """What is needed of a `CostModel`."""

    def cost(self, workload: Workload) -> Cost:
        """Latency of one operation; MissingCostError where it is not known."""

    def predict(self, program: Program, memory_bytes: Mapping[str, int]) -> Prediction:
        """Latency of a program."""


@dataclass(frozen=True)
class _KernelBytes:
    """Of one workload as it is compiled: packed weights, and each piece of memory it needs while it runs."""

    weights: int
    scratch: tuple[Scratch, ...]


class WidthCosts:
    """Costs of `graph` (static shapes) while the widths of `groups` change, for code made for `target`.

    The schedules are those that `chooser` knows.

    Widths are a mapping from every group's name to its number of channels, 0 for a group that vanishes; a group may
    grow to `most` channels, as far as the table reaches. With a `form` it is what that makes of the graph that is
    lowered (layers in other precisions).
    """

    def __init__(
        self,
        graph: Graph,
        groups: Sequence[ChannelGroup],
        source: CostSource,
        target: Target,
        chooser: Chooser | None = None,
        most: Widths | None = None,
        form: Form | None = None,
    ) -> None:
        self.full = {group.name: group.size for group in groups}
        self._graph, self._groups, self._source, self._target = graph, groups, source, target
        self._chooser, self._most, self._form = chooser, most, form
        self._outlines: dict[frozenset[str], Outline] = {}
        self._ops: dict[tuple[str, frozenset[str], str, tuple[int, ...]], float] = {}
        self._kernels: dict[str, _KernelBytes] = {}
        whole = self.outline(self.full)
        measured = [(op.workload, source.cost(op.workload).latency_ms) for op in whole.program.ops]
        # What the table adds once for a whole model.
        self._overhead = source.predict(whole.program, {}).latency_ms - sum(ms for _, ms in measured)
        self.meters: dict[str, Meter] = {
            LATENCY: lambda work: source.cost(work).latency_ms,
            SIZE: lambda work: self._bytes(work).weights,
            FLOPS: flops,
            ACTIVATIONS: activations,
            ROOFLINE: Roof.seen(measured).latency,
        }
        # A single channel is left out: code moves it in ways of its own, which tables hardly cover.
        self.floor = self._joint({group.name: self._floor(group.name) for group in groups})
        self.ceiling = {name: self._ceiling(name, (most or {}).get(name, size)) for name, size in self.full.items()}
        self._vanishing = {name: self._can_vanish(name) for name in self.full}

    def formed(self, form: Form) -> WidthCosts:
        """The costs of the same graph in another form. Raises MissingCostError where the table does not know that."""
        return WidthCosts(self._graph, self._groups, self._source, self._target, self._chooser, self._most, form)

    def priced(self, program: Program, meters: Iterable[str]) -> dict[str, float]:
        """What any program of this target costs, all of it counted. Raises MissingCostError."""
        found = {}
        for name in meters:
            if name == LATENCY:
                found[name] = self._source.predict(program, {}).latency_ms
            elif name == MEMORY:
                found[name] = float(sum(program_memory(program, self._target, self._chooser).values()))
            else:
                found[name] = sum(self.meters[name](op.workload) for op in program.ops)
        return found

    def outline(self, widths: Widths) -> Outline:
        """The outline for the groups that are not at width 0."""
        gone = frozenset(name for name, width in widths.items() if width == 0)
        if gone not in self._outlines:
            whole = self.outline(self.full) if gone else None
            self._outlines[gone] = Outline(self._graph, self._groups, gone, whole, self._form)
        return self._outlines[gone]

    def latency(self, widths: Widths) -> float:
        """Milliseconds. Raises MissingCostError, and ModelError where no path through the model is left."""
        return self.cost(LATENCY, widths)

    def cost(self, name: str, widths: Widths) -> float:
        """The cost called `name`, one of METERS: milliseconds, bytes, FLOP or elements.

        Size is that of packed weights (a little more than the artifact's where two operations share some), memory
        that of arena and packed weights.
        """
        outline = self.outline(widths)
        if name == MEMORY:
            return self._memory(outline, widths)
        if not outline.linear(widths):
            return self._exactly(name, outline, widths)
        overhead = self._overhead if name == LATENCY else 0.0
        return overhead + sum(self.op_cost(name, outline, op, widths) for op in outline.ops)

    def op_cost(self, name: str, outline: Outline, op: OutlineOp, widths: Widths) -> float:
        """That of one operation, for a cost that is a sum over operations (all but memory)."""
        gone = frozenset(group for group, width in widths.items() if width == 0)
        key = (name, gone, op.op.name, tuple(widths[group] for group in op.units))
        if key not in self._ops:
            workload = outline.workload(op, widths)
            self._ops[key] = 0.0 if workload is None else self.meters[name](workload)
        return self._ops[key]

    def op_latency(self, outline: Outline, op: OutlineOp, widths: Widths) -> float:
        """Milliseconds of one operation."""
        return self.op_cost(LATENCY, outline, op, widths)

    def costs(self, widths: Widths) -> Costs:
        """All costs that a budget may limit."""
        return Costs(**{field.name: self.cost(field.name, widths) for field in fields(Costs)})

    def meets(self, widths: Widths, limits: Mapping[str, float]) -> bool:
        """Whether the model exists, the table knows it, and nothing is above its limit."""
        try:
            return all(self.cost(name, widths) <= limit for name, limit in limits.items())
        except (MissingCostError, ModelError):
            return False

    def reaches(self, widths: Widths) -> bool:
        """Whether the model exists and the table knows it."""
        try:
            self.latency(widths)
        except (MissingCostError, ModelError):
            return False
        return True

    def predict(self, widths: Widths) -> Prediction:
        """The prediction for the graph that is really sliced and lowered, with its exact memory plan."""
        program = self.outline(widths).lowered({name: width for name, width in widths.items() if width})
        return self._source.predict(program, program_memory(program, self._target, self._chooser))

    def least(self) -> dict[str, int]:
        """The narrowest widths the table reaches; groups vanish where that is possible and cheaper."""
        least = dict(self.floor)
        for name in [name for name, able in self._vanishing.items() if able]:
            without = least | {name: 0}
            if self.reaches(without) and self.latency(without) < self.latency(least):
                least = without
        return least

    def nearest(self, alive: Widths) -> dict[str, int]:
        """`alive` raised to widths the table reaches; a group without channels vanishes where it may."""
        widths = {name: max(count, self.floor[name]) for name, count in alive.items()}
        for name, count in alive.items():
            if count == 0 and self._vanishing[name] and self.reaches(widths | {name: 0}):
                widths[name] = 0
        return widths

    def spare(self, name: str, width: int) -> int:
        """How many of `width` channels of a group can go."""
        return width if self._vanishing[name] else max(0, width - self.floor[name])

    def can_shrink(self, name: str, width: int) -> bool:
        """Whether a group of `width` channels can lose some that the table knows the effect of."""
        return self.spare(name, width) > 0

    def can_vanish(self, name: str) -> bool:
        """Whether a group may lose all of its channels."""
        return self._vanishing[name]

    def _can_vanish(self, name: str) -> bool:
        """Whether the model without a group exists and the table knows it, asked without a whole outline of it."""
        try:
            self._source.predict(self.outline(self.full | {name: 0}).program, {})
        except (MissingCostError, ModelError):
            return False
        return True

    def _floor(self, name: str) -> int:
        """The narrowest width of a group, at least 2, that the table reaches while the others are whole."""
        low, high = 1, self.full[name]
        while high - low > 1:
            middle = (low + high) // 2
            if self.reaches(self.full | {name: middle}):
                high = middle
            else:
                low = middle
        return high

    def _joint(self, floor: dict[str, int]) -> dict[str, int]:
        """`floor` raised until the table reaches it for all groups at once (a concatenation adds widths up)."""
        raised = dict(floor)
        while not self.reaches(raised):
            outline = self.outline(raised)
            short = {name for op in outline.ops if not self._known(outline, op, raised) for name in op.units}
            narrow = [name for name in sorted(short or raised) if raised[name] < self.full[name]]
            if not narrow:
                return dict(self.full)
            raised |= {name: raised[name] + 1 for name in narrow}
        return raised

    def _ceiling(self, name: str, most: int) -> int:
        """The widest width of a group, at most `most`, that the table reaches while the others are whole."""
        low, high = self.full[name], max(most, self.full[name]) + 1
        while high - low > 1:
            middle = (low + high) // 2
            if self.reaches(self.full | {name: middle}):
                low = middle
            else:
                high = middle
        return low

    def _exactly(self, name: str, outline: Outline, widths: Widths) -> float:
        if name == LATENCY:
            return self._source.predict(outline.lowered(widths), {}).latency_ms
        if name == SIZE:
            return self.predict(widths).memory_bytes["weights"]
        return sum(self.meters[name](op.workload) for op in outline.lowered(widths).ops)

    def _memory(self, outline: Outline, widths: Widths) -> float:
        if not outline.linear(widths):
            return sum(self.predict(widths).memory_bytes.values())
        workloads = {op.op.name: outline.workload(op, widths) for op in outline.ops}
        scratch = {name: self._bytes(work).scratch for name, work in workloads.items() if work is not None}
        return self.cost(SIZE, widths) + plan_memory(outline.at(widths), scratch).size

    def _known(self, outline: Outline, op: OutlineOp, widths: Widths) -> bool:
        try:
            self.op_latency(outline, op, widths)
        except MissingCostError:
            return False
        return True

    def _bytes(self, workload: Workload) -> _KernelBytes:
        key = workload.key
        if key not in self._kernels:
            kernel = generate(workload, self._target, variant(workload, self._target, self._chooser).choice)
            weights = sum(align(one.bytes) for one in kernel.arguments if one.role == WEIGHT)
            self._kernels[key] = _KernelBytes(weights, kernel.scratch)
        return self._kernels[key]
