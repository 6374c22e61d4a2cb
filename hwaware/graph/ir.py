"""The captured graph: ATen operators on named values, in PyTorch's own semantics.

One form serves everything before code generation: the compiler reads it, `GraphModel` runs and trains it, channel
groups are traced through it, and it is saved as JSON beside a safetensors file, so that a compressed model needs
none of its author's code to be loaded again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch


@dataclass(frozen=True)
class Spec:
    """Shape (in PyTorch's order, batch first) and dtype name (``float32``, ``int64``) of a value."""

    shape: tuple[int, ...]
    dtype: str

    @staticmethod
    def of(tensor: torch.Tensor) -> Spec:
        """The spec of a real, meta or fake tensor."""
        return Spec(tuple(int(size) for size in tensor.shape), str(tensor.dtype).removeprefix("torch."))

    def empty(self) -> torch.Tensor:
        """A meta tensor of this spec."""
        return torch.empty(self.shape, dtype=getattr(torch, self.dtype), device="meta")


@dataclass(frozen=True)
class Ref:
    """A use of the value `name`: a graph input, a node's output or one of the graph's tensors."""

    name: str


Arg: TypeAlias = "Ref | bool | int | float | str | tuple[Arg, ...] | None"


@dataclass(frozen=True)
class Node:
    """One operator: `op` is an ATen overload such as ``conv2d.default``, `args` are keyed by its schema."""

    name: str
    op: str
    args: Mapping[str, Arg]
    spec: Spec
    path: str  # dotted path of the module the operator came from, for messages

    def refs(self) -> Iterator[str]:
        """Names of the values this node reads, in order of its schema, repeats included."""
        for arg in self.args.values():
            yield from refs_in(arg)


def refs_in(arg: Arg) -> Iterator[str]:
    """Names of all values used inside one (possibly nested) argument."""
    if isinstance(arg, Ref):
        yield arg.name
    elif isinstance(arg, tuple):
        for item in arg:
            yield from refs_in(item)


@dataclass
class Graph:
    """Nodes in topological order; `tensors` holds parameters, buffers and constants by their dotted names.

    Names in `parameters` are trained; everything else in `tensors` is a buffer or a constant. `batched` says that
    reshapes carry ``-1`` where the batch goes, so that the graph runs at any batch size.
    """

    inputs: dict[str, Spec]
    nodes: list[Node]
    outputs: tuple[str, ...]
    tensors: dict[str, torch.Tensor]
    parameters: frozenset[str] = frozenset()
    batched: bool = False
    specs: dict[str, Spec] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.specs = dict(self.inputs)
        self.specs |= {name: Spec.of(tensor) for name, tensor in self.tensors.items()}
        self.specs |= {node.name: node.spec for node in self.nodes}

    def users(self) -> dict[str, list[Node]]:
        """For every value the nodes that read it, in order, a node once per value."""
        users: dict[str, list[Node]] = {name: [] for name in self.specs}
        for node in self.nodes:
            for name in dict.fromkeys(node.refs()):
                users[name].append(node)
        return users

    def producers(self) -> dict[str, Node]:
        """Each computed value's node."""
        return {node.name: node for node in self.nodes}
