"""The quantised graph in floating point, to be trained: every rounding is there, and lets gradients through."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hwaware.compression.quantize import fake as _operators  # noqa: F401  (registers what the graph calls)
from hwaware.compression.quantize.affine import Ranges
from hwaware.compression.quantize.choices import Choices
from hwaware.compression.quantize.weights import GROUP
from hwaware.compression.quantize.writer import Writer
from hwaware.graph.arguments import optional_ref, ref, with_args
from hwaware.graph.draft import beside
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec


def simulated(
    graph: Graph,
    choices: Choices,
    ranges: Ranges,
    *,
    scales: Mapping[str, Tensor] | None = None,
    group: int = GROUP,
) -> Graph:
    """A graph that computes what ``quantized`` of the same arguments does, up to rounding in float32.

    For a `GraphModel`, whose parameters are those of `graph` under their own names. All scales are constants. Raises
    what `quantized` raises.
    """
    return _Simulated(graph, choices, ranges, scales, group).write()


def trained_graph(graph: Graph, simulation: Graph) -> Graph:
    """`graph` with the tensors that a simulation of it has now."""
    tensors = {name: simulation.tensors.get(name, tensor).detach() for name, tensor in graph.tensors.items()}
    return Graph(graph.inputs, graph.nodes, graph.outputs, tensors, graph.parameters, graph.batched)


class _Simulated(Writer):
    def quantize(self, value: str, path: str) -> str:
        root = self.place.root[value]
        scale, zero = self.ranges[value]
        args: dict[str, Arg] = {
            "input": Ref(value),
            "scale": Ref(self.draft.tensor(f"{root}.scale", torch.tensor(scale))),
            "zero": Ref(self.draft.tensor(f"{root}.zero", torch.tensor(zero, dtype=torch.int32))),
        }
        return self.draft.add(f"{value}_levels", "hwaware.fake_levels", args, self.graph.specs[value], path)

    def real(self, value: str, reader: Node) -> str:
        return self.levels[value]

    def move(self, node: Node) -> None:
        self.draft.keep(node, {name: self.levels[name] for name in node.refs()})
        self.levels[node.name] = node.name

    def layer(self, node: Node) -> None:
        source = ref(node, "input")
        changed: dict[str, Arg] = {"weight": self._weight(node)}
        bias = optional_ref(node, "bias")
        if bias is not None:
            scale = self.scales[node.name] * self.ranges[source].scale
            args: dict[str, Arg] = {
                "bias": Ref(self._kept(bias)),
                "scale": Ref(self.draft.tensor(beside(ref(node, "weight"), "scale"), scale)),
            }
            spec = self.graph.specs[bias]
            changed["bias"] = Ref(self.draft.add(f"{node.name}_bias", "hwaware.fake_bias", args, spec, node.path))
        self.draft.keep(with_args(node, changed), {source: self.levels[source]})

    def stored(self, node: Node) -> None:
        changed: dict[str, Arg] = {"weight": self._weight(node)}
        bias = optional_ref(node, "bias")
        if bias is not None:
            changed["bias"] = Ref(self._kept(bias))
        self.draft.keep(with_args(node, changed), self.floats(node))

    def _weight(self, node: Node) -> Ref:
        name, precision = ref(node, "weight"), self.precisions[node.name]
        args: dict[str, Arg] = {"weight": Ref(self._kept(name))}
        op = "hwaware.fake_half"
        if precision != "float16":
            op = "hwaware.fake_weight"
            scale = self.draft.tensor(beside(name, "weight_scale"), self.scales[node.name])
            args |= {"scale": Ref(scale), "precision": precision, "group": self.group}
        spec = Spec(self.graph.specs[name].shape, "float32")
        return Ref(self.draft.add(f"{node.name}_weight", op, args, spec, node.path))

    def _kept(self, name: str) -> str:
        return self.draft.tensor(name, self.graph.tensors[name], trained=name in self.graph.parameters)
