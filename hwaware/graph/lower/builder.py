"""Strided views over buffers, and the operations that fill them.

Every value is a view (offset, sizes, strides) of a buffer, with PyTorch's own stride arithmetic done on meta tensors.
Permutes, slices and most reshapes are therefore free: a copy is emitted only where a kernel needs memory in another
order, and the transposes of a channels-last network end up at its edges by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hwaware.errors import UnsupportedOpError
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec
from hwaware.graph.lower.program import FusedOp
from hwaware.graph.workload import Step


@dataclass(frozen=True)
class Value:
    """A view of `buffer`; `view` is a meta tensor that carries offset, sizes (PyTorch's order) and strides.

    With `levels`, scale and zero point, the value is the float32 numbers of the uint8 levels that lie there.
    """

    buffer: str
    view: torch.Tensor
    levels: tuple[float, float] | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(self.view.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(self.view.stride())


def channels_last(rank: int) -> tuple[int, ...]:
    """Memory order of (N, C, spatial...) with the channels innermost."""
    return (0, *range(2, rank), 1)


def memory_order(view: torch.Tensor) -> tuple[int, ...] | None:
    """Dimensions from outermost to innermost if the view is dense from offset 0, else None."""
    # Where sizes of 1 leave a choice, channels are innermost.
    if view.dim() == 4 or (view.dim() == 3 and view.shape[2] == 1):
        order = channels_last(view.dim())
        if is_dense(view, order):
            return order
    if view.storage_offset() != 0:
        return None
    strides = view.stride()
    ordered = sorted(range(view.dim()), key=lambda d: (-strides[d] if view.shape[d] > 1 else 0, d))
    # Dimensions of size 1 may stand anywhere; keep them in place relative to their neighbours in PyTorch's order.
    real = [d for d in ordered if view.shape[d] > 1]
    expected = 1
    for d in reversed(real):
        if view.stride(d) != expected:
            return None
        expected *= view.shape[d]
    unit = [d for d in range(view.dim()) if view.shape[d] == 1]
    return (*(d for d in unit if d == 0), *real, *(d for d in unit if d != 0))


def is_dense(view: torch.Tensor, order: Sequence[int]) -> bool:
    """Whether the view lies in memory in exactly this order of dimensions, without gaps, from offset 0."""
    if view.storage_offset() != 0:
        return False
    expected = 1
    for d in reversed(order):
        if view.shape[d] > 1 and view.stride(d) != expected:
            return False
        expected *= view.shape[d]
    return True


class Builder:
    """Collects fused operations while the graph's nodes are visited in order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, Value] = {}
        self.ops: list[FusedOp] = []
        self.buffers: dict[str, Spec] = {}
        self.producer: dict[str, FusedOp] = {}
        self.pinned: set[str] = set()  # buffers that later readers already depend on
        self.uses: dict[str, int] = {}
        self.decoded: dict[str, Node] = {}  # what makes weights of fewer bits float32

    # Reading arguments -------------------------------------------------------------------------------------------

    def value(self, arg: Arg, node: Node) -> Value:
        """The computed value behind an argument; constants become buffers only through `constant`."""
        if not isinstance(arg, Ref) or arg.name not in self.values:
            raise self.refuse(node, "an operand that is a constant of the model is not supported here")
        return self.values[arg.name]

    def is_constant(self, arg: Arg) -> bool:
        """Whether the argument is one of the model's tensors."""
        return isinstance(arg, Ref) and arg.name in self.graph.tensors

    def constant(self, arg: Arg) -> np.ndarray:
        """The model's tensor behind an argument."""
        assert isinstance(arg, Ref)
        return self.graph.tensors[arg.name].detach().cpu().numpy()

    def refuse(self, node: Node, why: str) -> UnsupportedOpError:
        """The error for a node whose arguments no lowering covers."""
        return UnsupportedOpError(f"operator aten.{node.op} in module '{node.path or '(top)'}': {why}")

    # Writing operations ------------------------------------------------------------------------------------------

    def emit(
        self,
        node: Node,
        kind: str,
        inputs: Sequence[tuple[str, Spec]],
        sizes: Sequence[int],
        order: Sequence[int],
        attrs: dict[str, object],
        constants: dict[str, np.ndarray] | None = None,
        *,
        suffix: str = "",
        dtype: str = "float32",
    ) -> Value:
        """Append an operation that writes a dense buffer of `sizes` (PyTorch's order) in memory `order`."""
        buffer = node.name + suffix
        spec = Spec(tuple(sizes[d] for d in order), dtype)
        op = FusedOp(buffer, node.path, kind, [name for name, _ in inputs], [s for _, s in inputs], buffer, spec, attrs)
        op.constants.update(constants or {})
        self.ops.append(op)
        self.buffers[buffer] = spec
        self.producer[buffer] = op
        self.pinned.update(op.inputs)
        return Value(buffer, dense_view(sizes, order, dtype))

    def add_step(self, op: FusedOp, step: Step, operand: str | np.ndarray | None) -> None:
        """Append a step to the operation's epilogue; the operation moves behind everything its operand needs."""
        if isinstance(operand, str):
            # Operands of steps follow the anchor's own inputs, in the order of the steps.
            op.inputs.append(operand)
            self.pinned.add(operand)
        elif operand is not None:
            op.constants[f"step{len(op.steps)}"] = np.ascontiguousarray(operand)
        op.steps.append(step)
        self.ops.remove(op)
        self.ops.append(op)

    def open_op(self, name: str) -> FusedOp | None:
        """The operation a further step on value `name` may join: its only reader is the node being lowered."""
        value = self.values.get(name)
        if value is None or self.uses.get(name) != 1 or value.buffer in self.pinned:
            return None
        op = self.producer.get(value.buffer)
        return op if op is not None and op.kind in FUSABLE else None

    def materialise(self, value: Value, order: Sequence[int], node: Node, suffix: str = "_copy") -> Value:
        """`value` dense in memory `order`, copied only if it is not so already."""
        if is_dense(value.view, order):
            return value
        from hwaware.graph.lower.copy import emit_copy

        return emit_copy(self, value, order, node, suffix)

    def dense_input(
        self, value: Value, order: Sequence[int], node: Node, suffix: str = "_in"
    ) -> tuple[str, Spec, Value]:
        """Buffer, spec in memory order and value of an input a kernel needs dense in `order`."""
        dense = self.materialise(value, order, node, suffix)
        spec = Spec(tuple(dense.sizes[d] for d in order), self.buffers[dense.buffer].dtype)
        return dense.buffer, spec, dense


FUSABLE = frozenset({"conv2d", "conv2d_transpose", "dense", "map", "pool2d", "matmul"})


def dense_view(sizes: Sequence[int], order: Sequence[int], dtype: str = "float32") -> torch.Tensor:
    """A meta tensor of `sizes` that lies in memory in the given order of its dimensions."""
    strides = [0] * len(sizes)
    step = 1
    for d in reversed(order):
        strides[d] = step
        step *= sizes[d]
    return torch.empty_strided(tuple(sizes), tuple(strides), device="meta", dtype=getattr(torch, dtype))


def flat(spec: Spec) -> Spec:
    """The same memory as one dimension."""
    return Spec((math.prod(spec.shape),), spec.dtype)
