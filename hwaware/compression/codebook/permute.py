"""Input channels reordered before coding, so that a block's weights are easier to predict from each other.

Martinez et al. 2021 (PQF, arXiv:2010.15703, section 3.1): the error of a code of given size is bounded by the
determinant of the covariance of the blocks. Channels are dealt to the places of a block by their variance, then pairs
are swapped while the determinant falls. A channel's order is that of everything that makes or reads it, so whole
channel groups are reordered and the network computes what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from hwaware.compression.codebook.coded import Form
from hwaware.compression.codebook.layers import found
from hwaware.errors import ModelError
from hwaware.graph.channels import ChannelGroup, Member, channel_groups
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel, examples

Order = NDArray[np.intp]
_SWAPS = 1000
_CLOSE = 1e-4  # of the outputs' largest number, by which they may differ after a reordering


@dataclass(frozen=True)
class Permuted:
    """The reordered graph, the gain of each group (how far the log-determinants fell) and why others stayed."""

    graph: Graph
    gains: dict[str, float]
    left: dict[str, str]


def permuted(graph: Graph, forms: Mapping[str, Form], *, swaps: int = _SWAPS, seed: int = 0) -> Permuted:
    """`graph` with the channels of each group in the order that suits the layers in `forms` that read them.

    Each reordering is checked on example inputs; one that would change the outputs is not made. Layers whose blocks
    lie within one channel (3×3 with d = 9) gain nothing and do not count.
    """
    try:
        groups = channel_groups(graph)
    except ModelError as error:
        return Permuted(graph, {}, {"all": str(error)})
    weights = {layer.name: layer.weight for layer in found(graph, first=True).layers}
    gains: dict[str, float] = {}
    left: dict[str, str] = {}
    given = examples(graph, 2 if graph.batched else None)
    wanted = _outputs(graph, given)
    for group in groups:
        readers = [_reader(graph, group, weights[name], forms[name]) for name in forms if name in weights]
        problem = _Problem([reader for reader in readers if reader is not None])
        reason = _fixed(group) or (None if problem.readers else "no coded layer gains from its order")
        if reason is not None:
            left[group.name] = reason
            continue
        start = problem.score(np.arange(group.size))
        order, score = problem.solve(group.size, swaps, np.random.default_rng(seed))
        after = reordered(graph, group, order)
        if score >= start:
            left[group.name] = "no better order was found"
        elif _differ(wanted, _outputs(after, given)):
            left[group.name] = "its channels cannot be exchanged without changing the outputs"
        else:
            graph, gains[group.name] = after, start - score
    return Permuted(graph, gains, left)


def reordered(graph: Graph, group: ChannelGroup, order: Order) -> Graph:
    """`graph` with class ``order[i]`` of `group` in the place of class i, in every tensor that has them."""
    tensors = dict(graph.tensors)
    for member in group.members:
        tensors[member.tensor] = _moved(tensors[member.tensor], member, order)
    return replace(graph, tensors=tensors)


def _moved(tensor: torch.Tensor, member: Member, order: Order) -> torch.Tensor:
    places = torch.arange(tensor.shape[member.dim])
    index = np.asarray(member.index)
    places[torch.from_numpy(index.ravel())] = torch.from_numpy(index[order].ravel())
    return tensor.index_select(member.dim, places)


def _fixed(group: ChannelGroup) -> str | None:
    if group.pinned is not None:
        return f"its channels are fixed: {group.pinned}"
    if any(len(set(member.unit)) != 1 for member in group.members):
        return "its channels have different numbers of places"
    return None


@dataclass(frozen=True)
class _Reader:
    """A layer's weights by place of the block's channel: `rows` (classes, outputs, weights of one class)."""

    rows: NDArray[np.float64]
    channels: int  # classes in one block


def _reader(graph: Graph, group: ChannelGroup, weight: str, form: Form) -> _Reader | None:
    """None where the layer's blocks do not depend on the order."""
    tensor = graph.tensors[weight].detach().double()
    members = [member for member in group.members if member.tensor == weight and member.dim == 1]
    if not members or len(set(members[0].unit)) != 1 or group.size * members[0].unit[0] != tensor.shape[1]:
        return None
    unit = members[0].unit[0]
    inside = unit * (tensor[0].numel() // tensor.shape[1])
    index = np.asarray(members[0].index)
    if form.d % inside or form.d == inside or (index[:, 0] != np.arange(group.size) * unit).any():
        return None
    rows = tensor.reshape(len(tensor), group.size, inside).transpose(0, 1).numpy()
    return _Reader(np.ascontiguousarray(rows), form.d // inside)


class _Problem:
    """An order of classes and its score: the sum over readers of vectors · log det of their blocks' covariance."""

    def __init__(self, readers: Sequence[_Reader]) -> None:
        self.readers = list(readers)

    def score(self, order: Order) -> float:
        return sum(_log_det(_moments(reader, order).sum(0), reader) for reader in self.readers)

    def solve(self, size: int, swaps: int, random: np.random.Generator) -> tuple[Order, float]:
        """The better of the given order and the dealt one, with pairs exchanged while that helps."""
        starts = [np.arange(size), *(_dealt(reader) for reader in self.readers)]
        order = min(starts, key=self.score).copy()
        moments = [_moments(reader, order) for reader in self.readers]
        totals = [found.sum(0) for found in moments]
        score = self.score(order)
        for _ in range(swaps):
            a, b = random.choice(size, 2, replace=False)
            order[[a, b]] = order[[b, a]]
            changed = [_changed(reader, order, a, b) for reader in self.readers]
            tried = [
                total + sum((new - old[block] for block, new in blocks.items()), np.zeros_like(total))
                for total, old, blocks in zip(totals, moments, changed, strict=True)
            ]
            found = sum(_log_det(total, reader) for total, reader in zip(tried, self.readers, strict=True))
            if found < score - 1e-12:
                score, totals = found, tried
                for old, blocks in zip(moments, changed, strict=True):
                    for block, new in blocks.items():
                        old[block] = new
            else:
                order[[a, b]] = order[[b, a]]
        return order, self.score(order)


def _dealt(reader: _Reader) -> Order:
    """The classes of largest variance at the first place of the blocks, the next at the second, and so on.

    By Hadamard the determinant is at most the product of the places' variances: it is small where they differ most.
    """
    power = (reader.rows**2).sum((1, 2))
    return np.argsort(-power, kind="stable").reshape(reader.channels, -1).T.ravel()


def _moments(reader: _Reader, order: Order) -> NDArray[np.float64]:
    """Σ [v, 1]ᵀ [v, 1] over the outputs, for each block of a row: (blocks, d + 1, d + 1)."""
    return np.stack([_moment(reader, part) for part in order.reshape(-1, reader.channels)])


def _moment(reader: _Reader, classes: Order) -> NDArray[np.float64]:
    v = reader.rows[classes].transpose(1, 0, 2).reshape(reader.rows.shape[1], -1)
    v = np.concatenate([v, np.ones((len(v), 1))], 1)
    product: NDArray[np.float64] = v.T @ v
    return product


def _changed(reader: _Reader, order: Order, *places: int) -> dict[int, NDArray[np.float64]]:
    blocks = {int(place) // reader.channels for place in places}
    return {b: _moment(reader, order[b * reader.channels : (b + 1) * reader.channels]) for b in blocks}


def _log_det(total: NDArray[np.float64], reader: _Reader) -> float:
    """vectors · log det of the covariance, a little of the variance added: few blocks can have no determinant."""
    count = total[-1, -1]
    mean = total[-1, :-1] / count
    covariance = total[:-1, :-1] / count - np.outer(mean, mean)
    ridge = 1e-6 * np.trace(covariance) / len(covariance) + np.finfo(float).tiny
    return float(count * np.linalg.slogdet(covariance + ridge * np.eye(len(covariance)))[1])


@torch.no_grad()
def _outputs(graph: Graph, given: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    made = GraphModel(graph, given).eval()(*given)
    return [made] if isinstance(made, torch.Tensor) else list(made)


def _differ(before: list[torch.Tensor], after: list[torch.Tensor]) -> bool:
    pairs = zip(before, after, strict=True)
    return any(float((a - b).abs().max()) > _CLOSE * float(a.abs().max()) for a, b in pairs)
