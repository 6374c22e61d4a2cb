"""Channel values from stochastic gates: a channel is multiplied by σ((logit + logistic noise) / τ) while it trains.

The logistic-sigmoid gates of MorphNet's reference implementation (Gordon et al. 2018, arXiv:1711.06798; Maddison et
al. 2017, arXiv:1611.00712): logits start at 2.5, τ is 0.001, in evaluation the mask is 1[logit > 0]·σ(logit). The
regulariser pulls on the probability σ(logit). A channel is multiplied on the weights of whatever reads it: that is
behind its activation, which need not be 0 at 0. Channels that live or die together share one gate, so the probability
that any of them is needed, 1 - Π(1 - p), is p itself. Where it may vanish a group loses its last channel too; the
reference keeps the first of every layer by force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from hwaware.compression.gamma import named
from hwaware.compression.lasso import consumed
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

START, TEMPERATURE = 2.5, 0.001
_BURIED = -10.0


@dataclass(frozen=True)
class _Slot:
    """A tensor whose positions along `dim` are multiplied by the gates of their classes; -1 is no class."""

    tensor: str
    dim: int
    classes: Tensor


class Gated(nn.Module):
    """`model` with gates: logits by group, their names numbered as groups' names may hold dots."""

    def __init__(self, model: GraphModel, slots: Mapping[str, Sequence[_Slot]], sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.model = model
        self._slots = slots
        self.names = list(sizes)
        self.logits = nn.ParameterList([nn.Parameter(torch.full((size,), START)) for size in sizes.values()])

    def masks(self) -> dict[str, Tensor]:
        """What every channel is multiplied by: drawn anew while training."""
        masks = {}
        for name, logit in zip(self.names, self.logits, strict=True):
            if self.training:
                chance = torch.rand_like(logit).clamp(1e-6, 1 - 1e-6)
                drawn = torch.sigmoid((logit + torch.log(chance) - torch.log1p(-chance)) / TEMPERATURE)
                masks[name] = torch.where(logit <= _BURIED, torch.zeros_like(drawn), drawn)
            else:
                masks[name] = (logit > 0) * torch.sigmoid(logit)
        return masks

    def gated(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of `tensors` that gates act on, multiplied."""
        masks = self.masks()
        found: dict[str, Tensor] = {}
        for name, slots in self._slots.items():
            whole = torch.cat([masks[name], masks[name].new_ones(1)])  # class -1 is the last
            for slot in slots:
                tensor = found.get(slot.tensor, tensors[slot.tensor])
                shape = [1] * tensor.ndim
                shape[slot.dim] = -1
                found[slot.tensor] = tensor * whole[slot.classes].reshape(shape)
        return found

    def forward(self, *inputs: Tensor) -> Any:
        """The model's output under the gates."""
        return torch.func.functional_call(self.model, self.gated(named(self.model)), inputs)


class GateValues:
    """Values of `groups` in `model`; see ChannelValues."""

    def __init__(self, model: GraphModel, groups: Sequence[ChannelGroup]) -> None:
        slots = {group.name: _slots(model.graph, group) for group in groups}
        self._gated = Gated(model, slots, {group.name: group.size for group in groups})

    @property
    def trained(self) -> nn.Module:
        """The gated model."""
        return self._gated

    def values(self) -> dict[str, Tensor]:
        """σ(logit)."""
        return {name: torch.sigmoid(logit) for name, logit in self._logits().items()}

    def levels(self) -> dict[str, Tensor]:
        """Logits: a gate at or below 0 is closed in evaluation."""
        return {name: logit.detach() for name, logit in self._logits().items()}

    def hold(self, alive: Mapping[str, Tensor]) -> None:
        """Gates of the dead stay closed."""
        for name, logit in self._logits().items():
            logit.masked_fill_(~alive[name], _BURIED)

    def finished(self, graph: Graph) -> Graph:
        """Multiplied by the masks of evaluation."""
        mode = self._gated.training
        self._gated.eval()
        with torch.no_grad():
            tensors = dict(graph.tensors) | self._gated.gated(graph.tensors)
        self._gated.train(mode)
        return replace(graph, tensors=tensors)

    def revived(self, graph: Graph, original: Graph, names: Mapping[str, Sequence[int]]) -> Graph:
        """The tensors that gates act on, of `original`."""
        tensors = dict(graph.tensors)
        for name, slots in self._gated._slots.items():
            wanted = torch.tensor(list(names.get(name, ())), dtype=torch.int64)
            for slot in slots:
                positions = torch.nonzero(torch.isin(slot.classes, wanted)).flatten()
                old = original.tensors[slot.tensor].index_select(slot.dim, positions)
                tensors[slot.tensor] = tensors[slot.tensor].index_copy(slot.dim, positions, old)
        return replace(graph, tensors=tensors)

    def _logits(self) -> dict[str, Tensor]:
        return dict(zip(self._gated.names, self._gated.logits, strict=True))


def _slots(graph: Graph, group: ChannelGroup) -> list[_Slot]:
    read = consumed(graph, group)
    slots = []
    for member in group.members:
        if (member.tensor, member.dim) in read:
            classes = torch.full((graph.tensors[member.tensor].shape[member.dim],), -1, dtype=torch.int64)
            for number, positions in enumerate(member.index):
                classes[list(positions)] = number
            slots.append(_Slot(member.tensor, member.dim, classes))
    return slots
