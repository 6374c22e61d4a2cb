"""Bias correction: what quantisation adds to a layer's mean output is taken off its bias.

Nagel et al. 2019 (arXiv:1906.04721, section 4.2 and appendix D, the empirical form): the float network and the
quantised one run side by side over calibration batches, and layer by layer the difference of the means over samples
and positions, channel by channel, goes into the bias. The layers behind see the corrected ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from hwaware.compression.quantize.affine import Ranges
from hwaware.compression.quantize.choices import Choices, settled
from hwaware.compression.quantize.samples import samples
from hwaware.compression.quantize.simulate import simulated
from hwaware.compression.quantize.walk import Walk
from hwaware.compression.quantize.weights import GROUP
from hwaware.compression.task import Task
from hwaware.graph.arguments import optional_ref, ref, with_args
from hwaware.graph.draft import Draft, beside
from hwaware.graph.ir import Graph, Node, Ref
from hwaware.graph.ops import LINEAR

BATCHES = 4


def corrected(
    graph: Graph,
    task: Task,
    choices: Choices,
    ranges: Ranges,
    *,
    scales: Mapping[str, Tensor] | None = None,
    reference: Graph | None = None,
    batches: int = BATCHES,
    group: int = GROUP,
) -> Graph:
    """`graph` with biases that make the mean outputs of its quantised layers those of `reference`.

    `choices`, `ranges`, `scales` and `group` are those it will be quantised with. `reference` has the same layers and
    defaults to `graph`: it is the graph before its weights were changed for their levels. The inputs are those of the
    first `batches` training batches; of all of them the values that are still to be read are held, twice. Raises
    TaskError for data that does not fit.
    """
    precisions = settled(graph, choices).precisions
    graph = _with_biases(graph, frozenset(precisions))
    inputs = list(samples(graph, task, batches))
    wanted = Walk(reference or graph, inputs)
    ours = Walk(simulated(graph, choices, ranges, scales=scales, group=group), inputs)
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if node.name in precisions:
            channels = -1 if node.op in LINEAR else 1
            found = ours.through(node.name)
            error = _mean(wanted.through(node.name), channels) - _mean(found, channels)
            name = ref(node, "bias")
            tensors[name] = tensors[name] + error.to(tensors[name].dtype)
            for value in found:  # what is behind sees the corrected layer
                value.movedim(channels, -1).add_(error.to(value.dtype))
    return replace(graph, tensors=tensors)


def _mean(values: Sequence[Tensor], channels: int) -> Tensor:
    """Means over samples and positions, by channel, weighted by how many each batch has."""
    rows = [value.movedim(channels, -1).flatten(0, -2) for value in values]
    total = torch.stack([row.double().sum(0) for row in rows]).sum(0)
    return total / sum(len(row) for row in rows)


def _with_biases(graph: Graph, names: frozenset[str]) -> Graph:
    """`graph` in which each of these layers has a bias of its own."""
    users = graph.users()

    def lacks(node: Node) -> bool:
        bias = optional_ref(node, "bias")
        return node.name in names and (bias is None or len(users[bias]) > 1)

    draft = Draft(graph, [node for node in graph.nodes if not lacks(node)])
    for node in graph.nodes:
        if not lacks(node):
            draft.keep(node)
            continue
        weight = ref(node, "weight")
        held = optional_ref(node, "bias")
        count = node.spec.shape[-1 if node.op in LINEAR else 1]
        bias = torch.zeros(count) if held is None else graph.tensors[held].clone()
        trained = weight in graph.parameters
        changed = {
            "weight": Ref(draft.tensor(weight, graph.tensors[weight], trained=trained)),
            "bias": Ref(draft.own(f"{beside(weight, 'bias')}", bias, trained=trained)),
        }
        draft.keep(with_args(node, changed))
    return draft.finish()
