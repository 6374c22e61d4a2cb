"""What the writer of a GPU kernel works with: its arguments in order, and the steps behind the anchor.

Arguments have the order of every kernel (`compiler.kernel`): inputs, operands of steps, packed constants, the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hwaware.compiler.choice import Choice
from hwaware.compiler.cuda.blocks import Blocks, Element
from hwaware.compiler.cuda.functions import BINARY, UNARY
from hwaware.compiler.cuda.target import CudaTarget
from hwaware.compiler.cuda.views import View, view
from hwaware.compiler.kernel import INPUT, OUTPUT, WEIGHT, Argument, Pack, operand_size, size_of
from hwaware.compiler.tir import Expr
from hwaware.graph.workload import CHANNEL, IN_PITCH, NONE, OUT_PITCH, Step, Workload

# Kinds whose parts and strides are those of flat memory.
_FLAT_INPUTS, _FLAT_OUTPUTS = ("map", "copy"), ("copy",)
Strided = Callable[[View, Step, Sequence[Expr]], Expr]


@dataclass(frozen=True)
class Written:
    """A kernel before it is scheduled. `aligned`: every argument begins where TVM's tensors do."""

    function: Any
    arguments: tuple[Argument, ...]
    packs: tuple[Pack, ...]
    aligned: bool


class BlockBuilder:
    """Declares arguments in order, holds the blocks, and applies the epilogue in the last of them."""

    def __init__(self, workload: Workload, target: CudaTarget, choice: Choice) -> None:
        self.workload = workload
        self.target = target
        self.choice = choice
        self.blocks = Blocks()
        self.inputs: list[View] = []
        self._operands: list[View | None] = []
        self._constants: list[View] = []
        self._packs: list[Pack] = []
        self._arguments: list[Argument] = []
        self._aligned = True
        self._declare_inputs()
        self._declare_operands()
        self._params = [*self.inputs, *(operand for operand in self._operands if operand is not None)]
        attrs = dict(workload.attrs)
        shape = (size_of(workload.output),) if workload.kind in _FLAT_OUTPUTS else workload.output.shape
        self.output = self._view("y", shape, workload.output.dtype, workload.out_pitch, part=OUT_PITCH in attrs)

    def _declare_inputs(self) -> None:
        work = self.workload
        attrs = dict(work.attrs)
        for index, spec in enumerate(work.inputs):
            size_of(spec)
            flat = work.kind in _FLAT_INPUTS
            part = flat or (index == 0 and IN_PITCH in attrs)
            if flat and index == 0 and work.in_pitch > work.in_width:
                rows = size_of(spec) // work.in_width
                made = self._view("x0", ((rows - 1) * work.in_pitch + work.in_width,), spec.dtype, None, part=part)
            elif flat:
                made = self._view(f"x{index}", (size_of(spec),), spec.dtype, None, part=part)
            else:
                made = self._view(f"x{index}", spec.shape, spec.dtype, None if index else work.in_pitch, part=part)
            limit = int(attrs.get("rows", 0)) if spec.dtype.startswith("int") else 0  # type: ignore[arg-type]
            self.inputs.append(made)
            self._arguments.append(Argument(INPUT, spec.dtype, made.elements, limit))

    def _declare_operands(self) -> None:
        for index, step in enumerate(self.workload.epilogue):
            if step.operand == NONE or step.constant:
                self._operands.append(None)
                continue
            made = view(f"operand{index}", self._operand_shape(step))
            self._operands.append(made)
            self._arguments.append(Argument(INPUT, "float32", made.elements))

    def _view(self, name: str, shape: Sequence[int], dtype: str, pitch: int | None, *, part: bool) -> View:
        self._aligned = self._aligned and not part
        return view(name, shape, dtype, pitch=pitch, part=part)

    def _operand_shape(self, step: Step) -> tuple[int, ...]:
        if step.operand == CHANNEL or isinstance(step.operand, tuple):
            return (operand_size(step, self.workload),)
        return self.workload.output.shape

    def constant(self, name: str, shape: Sequence[int], pack: Pack, dtype: str = "float32") -> View:
        """Declare a packed constant; `pack` makes it from the operation's constants, in this shape's order."""
        made = view(name, shape, dtype)
        self._constants.append(made)
        self._packs.append(pack)
        self._arguments.append(Argument(WEIGHT, dtype, made.elements))
        return made

    def declare_steps(self) -> None:
        """Declare the constants of the epilogue; writers call it after their own constants."""
        for index, step in enumerate(self.workload.epilogue):
            if step.constant:
                name = f"step{index}"
                self._operands[index] = self.constant(name, self._operand_shape(step), _take(name))

    def finish(
        self,
        extents: Sequence[int],
        element: Element,
        at: Callable[[Sequence[Expr]], Sequence[Expr]] = tuple,
        strided: Strided | None = None,
    ) -> Written:
        """The kernel whose last block, over `extents`, writes `element` after all steps to the output `at` its indices.

        `strided` loads an operand that a map reads with strides of its own.
        """

        def stepped(indices: Sequence[Expr]) -> Expr:
            return self._stepped(element(indices), indices, at(indices), strided)

        self.blocks.store("y", extents, stepped, self.output, at)
        return self.written()

    def _stepped(self, value: Expr, indices: Sequence[Expr], place: Sequence[Expr], strided: Strided | None) -> Expr:
        for step, operand in zip(self.workload.epilogue, self._operands, strict=True):
            if operand is None:
                value = UNARY[step.name](value, *step.params)
                continue
            if step.operand == CHANNEL:
                other = operand.load(place[-1])
            elif isinstance(step.operand, tuple):
                assert strided is not None
                other = strided(operand, step, indices)
            else:
                other = operand.load(*place)
            value = BINARY[step.name](value, other)
        return value

    def written(self) -> Written:
        """The kernel, where all blocks are there already."""
        self._arguments.append(Argument(OUTPUT, self.workload.output.dtype, self.output.elements))
        params = [*self._params, *self._constants, self.output]
        return Written(self.blocks.function(params), tuple(self._arguments), tuple(self._packs), self._aligned)


def _take(name: str) -> Pack:
    return lambda constants: constants[name]
