"""The integer graph: layers on uint8 levels with int8 weights, float32 in the registers between them.

A layer's sum is an int32; one multiplication by the product of both scales makes it a float32, elementwise operators
follow, and a quantisation ends the chain (see `hwaware.graph.integer`). The bias is an int32 in the same units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from hwaware.compression.quantize.affine import Ranges
from hwaware.compression.quantize.choices import Choices
from hwaware.compression.quantize.int4 import packed
from hwaware.compression.quantize.placement import PADDING
from hwaware.compression.quantize.scales import bias_levels, bias_of
from hwaware.compression.quantize.weights import GROUP, format_of
from hwaware.compression.quantize.writer import Writer
from hwaware.graph.arguments import optional_ref, ref, with_args
from hwaware.graph.draft import beside
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec
from hwaware.graph.ops import DROPOUT, IDENTITY

_PASSED_ON = DROPOUT | IDENTITY


def quantized(
    graph: Graph,
    choices: Choices,
    ranges: Ranges,
    *,
    scales: Mapping[str, Tensor] | None = None,
    group: int = GROUP,
) -> Graph:
    """`graph`, whose BatchNorms should be folded, with each layer in the precision that `choices` names for it.

    Layers that are not named, or that cannot be what is asked (`choices.settled` says which and why), stay float32.
    `ranges` holds the levels of every value that integer layers read (`calibrate`); `scales` those of weights that
    are not to be searched, by layer; `group` is how many weights share a scale in weight4. Copies and dropout are
    gone; everything else keeps its name, a weight as well: ``conv.weight`` holds the levels then.

    Raises ModelError for unknown layers or precisions, missing ranges, and weights that are not finite.
    """
    return _Integer(graph, choices, ranges, scales, group).write()


class _Integer(Writer):
    def quantize(self, value: str, path: str) -> str:
        args = {"input": Ref(value), **self._affine(value)}
        spec = Spec(self.graph.specs[value].shape, "uint8")
        return self.draft.add(f"{value}_levels", "hwaware.quantize", args, spec, path)

    def real(self, value: str, reader: Node) -> str:
        # One for each reader, which can take it into its own registers.
        args = {"input": Ref(self.levels[value]), **self._affine(value)}
        return self.draft.add(f"{value}_values", "hwaware.dequantize", args, self.graph.specs[value], reader.path)

    def plain(self, node: Node) -> None:
        if node.op in _PASSED_ON:
            (source,) = dict.fromkeys(node.refs())
            self.draft.rename(node.name, source)
        else:
            super().plain(node)

    def move(self, node: Node) -> None:
        sources = {name: self.levels[name] for name in node.refs()}
        if node.op in _PASSED_ON:
            self.levels[node.name] = sources[next(node.refs())]
            return
        changed: dict[str, Arg] = {"value": self.ranges[node.name].zero} if node.op in PADDING else {}
        on_levels = with_args(replace(node, spec=Spec(node.spec.shape, "uint8")), changed)
        self.draft.keep(on_levels, sources)
        self.levels[node.name] = node.name

    def layer(self, node: Node) -> None:
        source, name = ref(node, "input"), ref(node, "weight")
        weight_scale = self.scales[node.name]
        levels = format_of(self.precisions[node.name]).levels(self.graph.tensors[name].detach(), weight_scale)
        scale = weight_scale * self.ranges[source].scale
        bias = bias_levels(bias_of(self.graph, node), scale).to(torch.int32)
        tensor = self.draft.tensor
        args: dict[str, Arg] = {
            "input": Ref(self.levels[source]),
            "weight": Ref(tensor(name, levels.to(torch.int8))),
            "zero": self._affine(source)["zero"],
            "bias": Ref(tensor(optional_ref(node, "bias") or beside(name, "bias"), bias)),
            "scale": Ref(tensor(beside(name, "scale"), scale)),
        }
        for key in ("stride", "padding", "dilation", "groups"):
            if key in node.args:
                args[key] = node.args[key]
        op = "hwaware.conv2d" if "stride" in node.args else "hwaware.linear"
        self.draft.keep(Node(node.name, op, args, node.spec, node.path))

    def stored(self, node: Node) -> None:
        name, precision = ref(node, "weight"), self.precisions[node.name]
        weight = self.graph.tensors[name].detach()
        tensor = self.draft.tensor
        args: dict[str, Arg]
        if precision == "float16":
            op, args = "hwaware.decode_half", {"half": Ref(tensor(name, weight.to(torch.float16)))}
        else:
            levels = format_of(precision, self.group).levels(weight, self.scales[node.name])
            kept = self.scales[node.name].to(torch.float16 if precision == "weight4" else torch.float32)
            scale = Ref(tensor(beside(name, "weight_scale"), kept))
            if precision == "weight8":
                op, args = "hwaware.decode_int8", {"levels": Ref(tensor(name, levels.to(torch.int8))), "scale": scale}
            else:
                op, args = "hwaware.decode_int4", {"packed": Ref(tensor(name, packed(levels))), "scale": scale}
                args |= {"shape": tuple(weight.shape), "group": self.group}
        spec = Spec(tuple(weight.shape), "float32")
        decoded = self.draft.add(f"{node.name}_weight", op, args, spec, node.path)
        changed: dict[str, Arg] = {"weight": Ref(decoded)}
        bias = optional_ref(node, "bias")
        if bias is not None:
            trained = bias in self.graph.parameters
            changed["bias"] = Ref(tensor(bias, self.graph.tensors[bias], trained=trained))
        self.draft.keep(with_args(node, changed), self.floats(node))

    def _affine(self, value: str) -> dict[str, Arg]:
        """The arguments `scale` and `zero`: one pair of tensors for all that share them."""
        root = self.place.root[value]
        scale, zero = self.ranges[value]
        return {
            "scale": Ref(self.draft.tensor(f"{root}.scale", torch.tensor(scale))),
            "zero": Ref(self.draft.tensor(f"{root}.zero", torch.tensor(zero, dtype=torch.int32))),
        }
