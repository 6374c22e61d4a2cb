"""Capture any `nn.Module` with `torch.export` into a `Graph`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.graph.constants import fold_constants
from hwaware.graph.export import export
from hwaware.graph.ir import Arg, Graph, Node
from hwaware.graph.model import GraphModel
from hwaware.graph.ops import EXPAND
from hwaware.graph.translate import translate


def capture(module: nn.Module, example_inputs: Sequence[torch.Tensor]) -> Graph:
    """The graph of `module` in evaluation mode for inputs of exactly the given shapes.

    Raises `ModelError` when the module cannot be exported with fixed shapes or holds NaN weights, and
    `UnsupportedOpError`, with the operator and the module path it came from, for an operator without a lowering.
    """

    if isinstance(module, GraphModel):
        return module.graph_for(example_inputs)
    check_weights(module)
    program = export(module, tuple(example_inputs))
    return fold_constants(translate(program, module))


def capture_batched(module: nn.Module, example_inputs: Sequence[torch.Tensor]) -> Graph:
    """Like `capture`, but runnable at any batch size, for training: captured at two sizes and compared.

    Dimension 0 of every example input is the batch. A reshape whose sizes differ between the two captures gets
    ``-1`` there; any other difference means that the batch cannot vary, which is a `ModelError`.
    """
    two, three = (capture(module, [_with_batch(value, size) for value in example_inputs]) for size in (2, 3))
    nodes = []
    for first, second in zip(two.nodes, three.nodes, strict=True):
        if first.op != second.op or first.name != second.name:
            raise ModelError(f"{first.path or 'the model'} changes its structure with the batch size")
        args = {key: _merge(first.args[key], second.args[key], first, second) for key in first.args}
        nodes.append(Node(first.name, first.op, args, first.spec, first.path))
    for name, tensor in two.tensors.items():
        if tensor.shape != three.tensors[name].shape:
            raise ModelError(f"{name}: a constant of the model changes its shape with the batch size")
    return Graph(two.inputs, nodes, two.outputs, two.tensors, two.parameters, batched=True)


def _with_batch(value: torch.Tensor, size: int) -> torch.Tensor:
    if value.dim() == 0:
        raise ModelError("an example input is a scalar: inputs need a batch dimension first")
    return value[:1].repeat(size, *[1] * (value.dim() - 1))


def _merge(a: Arg, b: Arg, node: Node, other: Node) -> Arg:
    if a == b:
        return a
    viewing = node.op.startswith(("view.", "_unsafe_view.", "reshape."))
    if viewing:
        # What the model leaves open is known by now: the -1 is for the batch.
        a, b = node.spec.shape, other.spec.shape
    if (viewing or node.op in EXPAND) and isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        merged = tuple(x if x == y else -1 for x, y in zip(a, b, strict=True))
        if merged.count(-1) == 1:
            return merged
    raise ModelError(
        f"{node.op} in {node.path or 'the model'} depends on the batch size in a way that is not a reshape"
    )


def check_weights(module: nn.Module) -> None:
    """Raises `ModelError` for a module that holds NaN, or infinite parameters."""
    broken = [(name, ~torch.isfinite(tensor)) for name, tensor in module.named_parameters()]
    # Masks of attention are buffers of minus infinity.
    broken += [(name, torch.isnan(tensor)) for name, tensor in module.named_buffers()]
    for name, where in broken:
        if bool(where.any()):
            raise ModelError(f"{name} holds NaN or infinite values: train or load the model again")
