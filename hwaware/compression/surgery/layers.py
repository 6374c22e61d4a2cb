"""Which layers of a module surgery works on: those with weights of their own, weights and biases together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from hwaware.errors import ModelError
from hwaware.graph.arguments import optional_ref
from hwaware.graph.model import GraphModel
from hwaware.graph.ops import CONV, LINEAR


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer: its weight, then its bias if it has one."""

    name: str
    parameters: tuple[nn.Parameter, ...]

    @property
    def count(self) -> int:
        """Weights and biases."""
        return sum(parameter.numel() for parameter in self.parameters)


def layers(model: nn.Module) -> tuple[Layer, ...]:
    """All of `model`, in order; parameters that two layers share belong to the first.

    Raises ModelError where there are none, and for numbers that are not finite.
    """
    named = dict(model.named_parameters())
    pairs = _of_graph(model) if isinstance(model, GraphModel) else _of_modules(model)
    found, seen = [], set[int]()
    for name, wanted in pairs.items():
        parameters = tuple(named[each] for each in wanted if each in named and id(named[each]) not in seen)
        if not parameters or parameters[0].dim() < 2:
            continue
        seen |= {id(parameter) for parameter in parameters}
        if not all(bool(torch.isfinite(parameter).all()) for parameter in parameters):
            raise ModelError(f"{name}: its weights are not all finite numbers; train the model again")
        found.append(Layer(name, parameters))
    if not found:
        raise ModelError("the model has no convolution or dense layer that could be pruned")
    return tuple(found)


def _of_graph(model: GraphModel) -> Mapping[str, list[str]]:
    nodes = [node for node in model.graph.nodes if node.op in CONV | LINEAR]
    return {
        node.name: [name for key in ("weight", "bias") if (name := optional_ref(node, key)) is not None]
        for node in nodes
    }


def _of_modules(model: nn.Module) -> Mapping[str, list[str]]:
    return {
        name: [f"{name}.{leaf}".removeprefix(".") for leaf in ("weight", "bias")]
        for name, module in model.named_modules()
        if isinstance(module, _ConvNd | nn.Linear)
    }
