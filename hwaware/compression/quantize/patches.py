"""A layer's inputs and outputs as rows of a linear problem: one row a position, by group of channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hwaware.graph.arguments import integer, integers
from hwaware.graph.ir import Node
from hwaware.graph.ops import LINEAR


@dataclass(frozen=True)
class Rows:
    """`inputs` (M, groups, n) and the outputs (M, groups, outputs of a group) wanted for them.

    n goes through the input channels of a group, then height and width, as a weight does.
    """

    inputs: Tensor
    outputs: Tensor

    def predicted(self, weight: Tensor, bias: Tensor, chosen: Tensor | slice) -> Tensor:
        """What a layer with `weight` (K, …) and `bias` (K) makes of the `chosen` rows."""
        groups, count = self.inputs.shape[1:]
        made = torch.einsum("mgn,gkn->mgk", self.inputs[chosen], weight.reshape(groups, -1, count))
        return made + bias.reshape(groups, -1)


def sampled(
    node: Node,
    kernel: tuple[int, ...],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    memory: int,
    random: torch.Generator,
) -> Rows:
    """Rows of the layer `node`, with a `kernel` of that size, from batches of what it reads and should make.

    As many positions as `memory` bytes hold, drawn at random, from every sample alike.
    """
    groups = integer(node, "groups") if node.op not in LINEAR else 1
    samples = sum(len(batch) for batch in inputs)
    taken = []
    for x, y in _positions(node, kernel, inputs, outputs):
        quota = max(1, memory // (4 * (x.shape[1] + y.shape[1]) * samples))
        chosen = torch.randperm(len(x), generator=random)[:quota]
        taken.append((x[chosen], y[chosen]))
    x, y = (torch.cat(parts) for parts in zip(*taken, strict=True))
    return Rows(x.reshape(len(x), groups, -1), y.reshape(len(y), groups, -1))


def _positions(
    node: Node, kernel: tuple[int, ...], inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """For every sample (positions, what is read there) and (positions, what should be made there)."""
    for batch, wanted in zip(inputs, outputs, strict=True):
        for x, y in zip(batch, wanted, strict=True):
            if node.op in LINEAR:
                yield x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
            else:
                yield _windows(node, kernel, x), y.flatten(1).T


def _windows(node: Node, kernel: tuple[int, ...], x: Tensor) -> Tensor:
    """The windows of a convolution over one sample (C, …): (positions, C · size of the kernel)."""

    def both(key: str, neutral: int) -> tuple[int, ...]:
        values = integers(node, key)
        values = values * len(kernel) if len(values) == 1 else values
        return (neutral,) * (2 - len(kernel)) + values

    image = x.unsqueeze(0) if len(kernel) == 2 else x.unsqueeze(0).unsqueeze(2)
    size = (1,) * (2 - len(kernel)) + kernel
    parts = functional.unfold(image, size, both("dilation", 1), both("padding", 0), both("stride", 1))
    return parts[0].T
