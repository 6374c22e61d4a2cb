"""Give channel groups other widths: channels that stay keep their weights, new ones start fresh.

A new channel is modelled on one that is there and put behind it, wherever that one appears. To know where a
weight of the old graph went, every channel of the wider graph carries a label (old identity, number of the
copy) through the same tracing rules that found the groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from hwaware.errors import ModelError
from hwaware.graph.channels import Trace, run_identities, tensor_axes, trace
from hwaware.graph.execute import infer
from hwaware.graph.fresh_weights import fill_fresh
from hwaware.graph.identities import Identities, Ids
from hwaware.graph.ir import Graph
from hwaware.graph.resize import Resizer
from hwaware.graph.slicing import slice_graph
from hwaware.graph.tracer import Axis, Tracer


@dataclass(frozen=True)
class Origin:
    """For every new position along a tensor's dimension the old one it is or is modelled on; is it new?"""

    index: Ids
    fresh: np.ndarray


def widen_graph(
    graph: Graph,
    widths: Mapping[str, int],
    *,
    seed: int,
    keep: Mapping[str, Sequence[int]] | None = None,
) -> Graph:
    """`graph` with the groups named in `widths` having that many classes, the others as they are.

    `keep` lists the classes that survive in a group, the most important first; by default all, in order. New
    channels get random weights from `seed` and nothing reads them yet, so that a graph that only grows
    computes the same. Raises `ModelError` for unknown or pinned groups, negative widths, and for a group of
    one class that should grow (its dimension cannot be told from others of size 1: widen the graph it was cut
    from).
    """
    traced = trace(graph)
    copies = _copies(traced, widths, keep or {})
    labels, wider = _grow(traced, np.maximum(copies, 1), seed)
    if (copies > 0).all():
        return infer(wider, wider.inputs)
    dropped = copies[traced.classes] == 0  # by old identity
    return slice_graph(wider, _survivors(trace(wider), labels, dropped))


def _copies(traced: Trace, widths: Mapping[str, int], keep: Mapping[str, Sequence[int]]) -> Ids:
    groups = {group.name: group for group in traced.groups}
    copies = np.ones(len(traced.classes), dtype=np.int64)
    for name in dict.fromkeys([*widths, *keep]):
        if name not in groups:
            raise ModelError(f"the model has no channel group {name!r}; it has {', '.join(groups)}")
        group = groups[name]
        kept = list(keep.get(name, range(group.size)))
        width = widths.get(name, len(kept))
        if width < 0 or len(set(kept)) != len(kept) or any(not 0 <= index < group.size for index in kept):
            raise ModelError(f"channel group {name!r} has the classes 0 to {group.size - 1}, not {kept}: {width}")
        if group.pinned is not None and (width != group.size or len(kept) != group.size):
            raise ModelError(f"channel group {name!r} cannot change its width: {group.pinned}")
        if group.size == 1 and width > 1:
            raise ModelError(f"channel group {name!r} has one channel: widen the model it was cut from instead")
        counts = np.zeros(group.size, dtype=np.int64)
        counts[kept[:width]] = 1
        models = kept or list(range(group.size))
        for extra in range(width - len(kept[:width])):
            counts[models[extra % len(models)]] += 1
        copies[list(traced.members[name])] = counts
    return copies


def _grow(traced: Trace, copies: Ids, seed: int) -> tuple[dict[Axis, Ids], Graph]:
    """The wider graph, and the labels of its channels on every dimension that creates channels."""
    old, classes = traced.tracer, traced.classes
    graph = old.graph
    resizer = Resizer(traced, copies)
    nodes = [resizer.node(node) for node in graph.nodes]
    labels = {axis: _labelled(old.axes[axis], classes, copies) for axis in old.outputs.values()}
    shapes = _tensor_shapes(traced, copies)
    empty = {
        name: torch.empty(shapes[name], dtype=tensor.dtype, device="meta") for name, tensor in graph.tensors.items()
    }
    shell = Graph(graph.inputs, nodes, graph.outputs, empty, graph.parameters, graph.batched)
    new = run_identities(Tracer(shell, labels, Identities(len(classes) * (int(copies.max()) + 1))))
    # The smallest identity of a class is a label wherever some layer creates the class.
    canonical, _ = new.identities.solve()
    created = np.unique(np.concatenate([[0], *(classes[old.axes[axis]] for axis in labels)]))
    origins = {}
    for axis, ids in tensor_axes(old, classes).items():
        if axis in labels or axis in old.met:
            before = classes[ids if axis in labels else old.met[axis]]
            after = labels[axis] if axis in labels else canonical[new.met[axis]]
            copy, identity = np.divmod(after, len(classes))
            # Channels that no layer creates (padding) have no label; they are neither copied nor dropped.
            known = copy < copies.max()
            origins[axis] = _origin(
                np.where(np.isin(before, created), before, -1),
                np.where(known, classes[identity], -1),
                np.where(known, copy, 0),
            )
        else:
            index = np.repeat(np.arange(len(ids)), copies[classes[ids]])
            origins[axis] = Origin(index, np.zeros(len(index), dtype=bool))
    tensors = _gathered(graph, origins)
    fill_fresh(old, tensors, {axis: origin.fresh for axis, origin in origins.items()}, seed)
    return labels, Graph(graph.inputs, nodes, graph.outputs, tensors, graph.parameters, graph.batched)


def _labelled(ids: Ids, classes: Ids, copies: Ids) -> Ids:
    """`ids` with copies put behind each run of one class; copy k of i is i + k·(number of identities)."""
    roots = classes[ids]
    starts = [0, *(np.flatnonzero(roots[1:] != roots[:-1]) + 1).tolist(), len(ids)]
    parts = [
        ids[start:end] + copy * len(classes)
        for start, end in pairwise(starts)
        for copy in range(int(copies[roots[start]]))
    ]
    return np.concatenate(parts) if parts else ids[:0]


def _tensor_shapes(traced: Trace, copies: Ids) -> dict[str, list[int]]:
    shapes = {name: list(tensor.shape) for name, tensor in traced.tracer.graph.tensors.items()}
    for (name, dim), ids in tensor_axes(traced.tracer, traced.classes).items():
        shapes[name][dim] = int(copies[traced.classes[ids]].sum())
    return shapes


def _origin(old: Ids, new: Ids, copy: Ids) -> Origin:
    """Where the classes `new` came from: the j-th use of a copy is the j-th use of the class in `old`."""
    places: dict[int, list[int]] = defaultdict(list)
    for position, root in enumerate(old.tolist()):
        places[root].append(position)
    used: dict[tuple[int, int], int] = defaultdict(int)
    index = []
    for key in zip(new.tolist(), copy.tolist(), strict=True):
        where = places[key[0]]
        index.append(where[used[key] % len(where)])
        used[key] += 1
    return Origin(np.array(index, dtype=np.int64), copy > 0)


def _gathered(graph: Graph, origins: Mapping[Axis, Origin]) -> dict[str, torch.Tensor]:
    tensors = {name: tensor.detach().clone() for name, tensor in graph.tensors.items()}
    for (name, dim), origin in origins.items():
        tensors[name] = tensors[name].index_select(dim, torch.from_numpy(origin.index))
    return tensors


def _survivors(traced: Trace, labels: Mapping[Axis, Ids], dropped: np.ndarray) -> dict[str, list[int]]:
    """What stays of the groups of the wider graph that hold copies of dropped identities."""
    keep = {}
    for group in traced.groups:
        alive = [False] * group.size
        for member in group.members:
            made = labels.get((member.tensor, member.dim))
            if made is None:
                continue
            for number, positions in enumerate(member.index):
                alive[number] |= any(not dropped[made[place] % len(dropped)] for place in positions)
        if not all(alive):
            keep[group.name] = [number for number, lives in enumerate(alive) if lives]
    return keep
