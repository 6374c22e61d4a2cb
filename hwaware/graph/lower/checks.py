"""What no lowering covers, said before code is generated for it."""

from __future__ import annotations

from hwaware.errors import ModelError
from hwaware.graph import ops
from hwaware.graph.ir import Node, Spec
from hwaware.graph.lower.builder import Builder

_INPUTS = ("float32", "int64", "int32")
_MOVES = ops.RESHAPE | ops.PERMUTE | ops.EXPAND | ops.SLICE | ops.CAT | ops.SHUFFLE | ops.PAD


def check_input(name: str, spec: Spec) -> None:
    """Raise `ModelError` for an input no device can be given."""
    if spec.dtype not in _INPUTS:
        raise ModelError(f"input {name} is {spec.dtype}: a model takes {', '.join(_INPUTS)}; convert it to float32")
    if 0 in spec.shape:
        raise ModelError(f"input {name} has no elements: its shape is {spec.shape}")


def check_types(builder: Builder, node: Node) -> None:
    """Raise `UnsupportedOpError` for arithmetic in anything but float32, and for tensors without elements."""
    if 0 in node.spec.shape:
        raise builder.refuse(node, f"a tensor without elements, of shape {node.spec.shape}, is not supported")
    values = [builder.values[name] for name in node.refs() if name in builder.values]
    read = {"float32" if value.levels else builder.buffers[value.buffer].dtype for value in values}
    if node.op in _MOVES:
        if read != {node.spec.dtype}:
            raise builder.refuse(node, f"operands of types {', '.join(sorted(read))} together are not supported")
        return
    if node.op in ops.EMBEDDING:
        read = set()
    if node.op in ops.LEVELS and read <= {"float32", "uint8"}:
        return
    if node.op in ops.POOL and read == {"uint8"}:
        if node.op.startswith("max"):
            return
        raise builder.refuse(node, "an average of quantised levels is not supported: dequantize them first")
    for dtype in sorted(read | {node.spec.dtype}):
        if dtype != "float32":
            raise builder.refuse(node, f"{dtype} is not supported, only float32; call .float() on the model")
