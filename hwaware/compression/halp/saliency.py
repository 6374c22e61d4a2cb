"""How much the loss would change without a channel, to first order: Taylor saliency.

Molchanov et al. 2019 (arXiv:1906.10771), as HALP uses it (Shen et al. 2022, arXiv:2110.10811, section 3.1): for a
channel with BatchNorm |γ·∂L/∂γ + β·∂L/∂β|, else |w·∂L/∂w + b·∂L/∂b| over what makes it; channels that live or die
together add up before the absolute value is taken. The mean over batches is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hwaware.compression.gamma import named, scale_sources
from hwaware.compression.lasso import produced
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.model import GraphModel


class TaylorSaliency:
    """Of the channels of `groups` in `model`, gathered while it trains."""

    def __init__(self, model: GraphModel, groups: Sequence[ChannelGroup]) -> None:
        self._parameters = named(model)
        graph = model.graph
        sources = scale_sources(graph, groups)
        # By group: tensor, dimension, the class of each of its positions (-1: none).
        self._slots: dict[str, list[tuple[str, int, Tensor]]] = {}
        self._sums = {group.name: torch.zeros(group.size) for group in groups}
        self.batches = 0
        for group in groups:
            if group.name in sources:
                wanted = {(name, 0) for source in sources[group.name] for name in (source.weight, source.bias) if name}
            else:
                vectors = {
                    (name, 0)
                    for node in graph.nodes
                    if node.name in group.producers
                    for name in node.refs()
                    if name in self._parameters and self._parameters[name].ndim == 1
                }
                wanted = produced(graph, group) | vectors
            self._slots[group.name] = [
                (member.tensor, member.dim, _classes(member.index, self._parameters[member.tensor].shape[member.dim]))
                for member in group.members
                if (member.tensor, member.dim) in wanted and member.tensor in self._parameters
            ]

    def gather(self) -> None:
        """Add the gradients that are there now, unless they overflowed (and no step was made by them)."""
        if not all(self._finite(tensor) for slots in self._slots.values() for tensor, _, _ in slots):
            return
        for name, slots in self._slots.items():
            total = torch.zeros_like(self._sums[name])
            for tensor, dim, classes in slots:
                value = self._parameters[tensor]
                if value.grad is None:
                    continue
                change = (value.detach() * value.grad).movedim(dim, 0).reshape(len(classes), -1).sum(1).to(total)
                known = classes >= 0
                total.index_add_(0, classes[known], change[known])
            self._sums[name] += total.abs()
        self.batches += 1

    def _finite(self, tensor: str) -> bool:
        gradient = self._parameters[tensor].grad
        return gradient is None or bool(gradient.isfinite().all())

    def forget(self) -> None:
        """Begin anew."""
        for total in self._sums.values():
            total.zero_()
        self.batches = 0

    def values(self) -> dict[str, Tensor]:
        """The mean of each channel, by group, in the unit of the loss."""
        return {name: total / max(1, self.batches) for name, total in self._sums.items()}

    def load(self, values: dict[str, Tensor], batches: int) -> None:
        """Take up `values` that were gathered over so many batches."""
        self._sums = {name: values[name] * max(1, batches) for name in self._sums}
        self.batches = batches


def _classes(index: Sequence[Sequence[int]], size: int) -> Tensor:
    classes = torch.full((size,), -1, dtype=torch.int64)
    for number, positions in enumerate(index):
        classes[list(positions)] = number
    return classes
