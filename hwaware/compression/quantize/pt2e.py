"""Models quantised by torchao's PT2E flow, taken as they are: pairs of quantise and dequantise become integer layers.

PT2E leaves a float graph in which ``quantized_decomposed`` operators round: a layer reads a dequantised activation and
a dequantised constant weight. Such a layer becomes one of `hwaware.graph.integer`, its bias an int32 in units of both
scales. Signed levels are unsigned ones with 128 added to them and to the zero point. What only moves elements between
two pairs of one scale is computed on levels, and a pair that would round what is rounded already is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hwaware.compression.quantize.choices import no_integers
from hwaware.compression.quantize.decomposed import (
    CHANNELS,
    DEQUANTIZE,
    NAMESPACE,
    QUANTIZE,
    evaluated,
    refusal,
    rounded,
    weight_scale,
)
from hwaware.compression.quantize.placement import PADDING, moves
from hwaware.compression.quantize.scales import bias_levels
from hwaware.graph.arguments import optional_ref, ref, with_args
from hwaware.graph.capture import check_weights
from hwaware.graph.constants import fold_constants
from hwaware.graph.draft import Draft
from hwaware.graph.export import export
from hwaware.graph.integer import LEVELS
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec
from hwaware.graph.model import GraphModel
from hwaware.graph.ops import CONV, LINEAR
from hwaware.graph.translate import translate


def taken(module: nn.Module, example_inputs: Sequence[Tensor]) -> nn.Module:
    """`module` as it is; where PT2E has quantised it, the integer model for inputs of these shapes.

    Raises what `captured` raises.
    """
    graphs = (each.graph for each in module.modules() if isinstance(each, torch.fx.GraphModule))
    if not any(str(node.target).startswith(NAMESPACE) for graph in graphs for node in graph.nodes):
        return module
    return GraphModel(captured(module, example_inputs), tuple(example_inputs)).eval()


def captured(module: nn.Module | torch.export.ExportedProgram, example_inputs: Sequence[Tensor]) -> Graph:
    """The integer graph of what ``convert_pt2e`` returned, or of that exported again, for inputs of these shapes.

    Raises `ModelError` where it cannot be captured, and `UnsupportedOpError` for levels of an activation that are not
    8 bits with a constant scale and zero point.
    """
    if isinstance(module, torch.export.ExportedProgram):
        module = module.module()
    check_weights(module)
    graph = accepted(translate(export(module, tuple(example_inputs)), module))
    # What is trained is not folded, and neither should be what is stored in fewer bits.
    stored = {name for name, tensor in graph.tensors.items() if not tensor.is_floating_point()}
    folded = fold_constants(replace(graph, parameters=graph.parameters | stored))
    return replace(folded, parameters=folded.parameters - stored)


def accepted(graph: Graph) -> Graph:
    """`graph`, as translated from PT2E's, with its pairs turned to operators of `hwaware.graph.integer`.

    A graph without any is returned as it is. Raises `UnsupportedOpError` like `captured`.
    """
    if not any(node.op.startswith(NAMESPACE) for node in graph.nodes):
        return graph
    return _alive(_Acceptance(graph).run())


class _Levels(NamedTuple):
    """Where the levels of a value are; `root` is the quantisation that made them."""

    name: str
    root: str
    scale: float
    zero: int


class _Acceptance:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._draft = Draft(graph, [node for node in graph.nodes if node.op not in CONV | LINEAR])
        self._constants = dict(graph.tensors)
        self._levels: dict[str, _Levels] = {}  # by the name of the quantised value
        self._twins: dict[str, _Levels] = {}  # by that of a float value which is exactly its levels'
        self._weights: dict[str, tuple[str, Tensor]] = {}  # dequantised weight -> its levels, its scales

    def run(self) -> Graph:
        for node in self._graph.nodes:
            if not node.op.startswith(NAMESPACE):
                self._plain(node)
            elif node.op not in QUANTIZE | DEQUANTIZE | CHANNELS:
                raise refusal(node, "only static quantisation with one scale a tensor, or a channel, is supported")
            elif all(name in self._constants for name in node.refs()):
                self._constant(node)
            elif node.op in CHANNELS:
                raise refusal(node, "activations with a scale a channel are not supported")
            elif node.op in QUANTIZE:
                self._quantize(node)
            else:
                self._dequantize(node)
        return self._draft.finish()

    def _constant(self, node: Node) -> None:
        scale = weight_scale(node, self._constants) if "dequantize" in node.op else None
        if scale is None:
            self._constants[node.name] = evaluated(node, self._constants)
            self._draft.rename(node.name, self._draft.tensor(f"{node.name}.value", self._constants[node.name]))
            return
        source = ref(node, "input")
        levels = self._draft.tensor(source, self._constants[source])
        self._weights[node.name] = levels, scale
        # For whatever reads it in floats; gone where nothing does.
        args: dict[str, Arg] = {
            "levels": Ref(levels),
            "scale": Ref(self._draft.tensor(f"{node.name}.scale", scale)),
        }
        self._draft.keep(Node(node.name, "hwaware.decode_int8", args, node.spec, node.path))

    def _quantize(self, node: Node) -> None:
        found, source = rounded(node, self._constants), ref(node, "input")
        twin = self._twins.get(source)
        if twin is not None and (twin.scale, twin.zero, 0, LEVELS) == found:
            self._levels[node.name] = twin
            self._draft.rename(node.name, twin.name)
            return
        if (found.low, found.high) != (0, LEVELS):
            low, high = ((end - found.zero) * found.scale for end in (found.low, found.high))
            ends: dict[str, Arg] = {"self": Ref(source), "min": low, "max": high}
            source = self._draft.add(f"{node.name}_range", "clamp.default", ends, self._graph.specs[source], node.path)
        made = _Levels(node.name, node.name, found.scale, found.zero)
        args = {"input": Ref(source), **self._affine(made)}
        self._draft.keep(Node(node.name, "hwaware.quantize", args, Spec(node.spec.shape, "uint8"), node.path))
        self._levels[node.name] = made

    def _dequantize(self, node: Node) -> None:
        found = self._levels.get(ref(node, "input"))
        if found is None:
            raise refusal(node, "levels that the model does not make itself are not supported")
        if rounded(node, self._constants)[:2] != found[2:]:
            raise refusal(node, "its levels were made at another scale")
        args = {"input": Ref(found.name), **self._affine(found)}
        self._draft.keep(Node(node.name, "hwaware.dequantize", args, node.spec, node.path))
        self._twins[node.name] = found

    def _plain(self, node: Node) -> None:
        weight = self._weights.get(optional_ref(node, "weight") or "")
        source = self._twins.get(optional_ref(node, "input") or "")
        if node.op in CONV | LINEAR and weight is not None and source is not None and self._fits(node, weight[0]):
            self._layer(node, *weight, source)
            return
        self._draft.keep(node, self._tensors(node))
        twins = [self._twins.get(name) for name in node.refs()]
        if moves(self._graph, node) and twins[0] is not None and len({twin and twin[2:] for twin in twins}) == 1:
            self._move(node, twins[0])

    def _move(self, node: Node, twin: _Levels) -> None:
        """`node` on levels, beside it in floats: only what is read stays."""
        changed: dict[str, Arg] = {"value": twin.zero} if node.op in PADDING else {}
        made = self._draft.free(f"{node.name}_levels")
        on_levels = replace(node, name=made, spec=Spec(node.spec.shape, "uint8"))
        self._draft.keep(with_args(on_levels, changed), {name: self._twins[name].name for name in node.refs()})
        self._twins[node.name] = twin._replace(name=made)

    def _fits(self, node: Node, levels: str) -> bool:
        bias = optional_ref(node, "bias")
        products = self._graph.tensors[levels][0].numel()
        return (bias is None or bias in self._constants) and no_integers(self._graph, node, products) is None

    def _layer(self, node: Node, levels: str, weight_scale: Tensor, source: _Levels) -> None:
        scale = weight_scale * source.scale
        held = optional_ref(node, "bias")
        bias = torch.zeros(len(scale)) if held is None else self._constants[held].detach()
        tensor = self._draft.tensor
        args: dict[str, Arg] = {
            "input": Ref(source.name),
            "weight": Ref(levels),
            "zero": self._affine(source)["zero"],
            "bias": Ref(tensor(held or f"{node.name}.bias", bias_levels(bias, scale).to(torch.int32))),
            "scale": Ref(tensor(f"{node.name}.scale", scale)),
        }
        args |= {key: node.args[key] for key in ("stride", "padding", "dilation", "groups") if key in node.args}
        op = "hwaware.conv2d" if node.op in CONV else "hwaware.linear"
        self._draft.keep(Node(node.name, op, args, node.spec, node.path))

    def _tensors(self, node: Node) -> dict[str, str]:
        """Where a layer that stays float finds its tensors."""
        held, trained = self._graph.tensors, self._graph.parameters
        return {
            name: self._draft.tensor(name, held[name], trained=name in trained) for name in node.refs() if name in held
        }

    def _affine(self, levels: _Levels) -> dict[str, Arg]:
        return {
            "scale": Ref(self._draft.tensor(f"{levels.root}.scale", torch.tensor(levels.scale))),
            "zero": Ref(self._draft.tensor(f"{levels.root}.zero", torch.tensor(levels.zero, dtype=torch.int32))),
        }


def _alive(graph: Graph) -> Graph:
    """`graph` without nodes and tensors that reach no output."""
    used = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in used:
            used |= set(node.refs())
    nodes = [node for node in graph.nodes if node.name in used]
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in used}
    return replace(graph, nodes=nodes, tensors=tensors, parameters=graph.parameters & tensors.keys())
