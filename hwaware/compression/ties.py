"""Which channel groups may change, and which must change alike, by patterns over their layers' names.

A pattern is a shell wildcard (``layer1.*``) over the names of groups and of the layers that produce their channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from hwaware.errors import ModelError
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.ir import Graph

T = TypeVar("T")
EXCLUDED = "excluded by the pattern {}"


@dataclass(frozen=True)
class TiedGroup(ChannelGroup):
    """Groups of one size whose k-th channels live or die together; `parts` are their names in the graph."""

    parts: tuple[str, ...] = ()


def parts_of(group: ChannelGroup) -> tuple[str, ...]:
    """The names of the graph's own groups that `group` stands for."""
    return group.parts if isinstance(group, TiedGroup) else (group.name,)


def untied(groups: Iterable[ChannelGroup], values: Mapping[str, T]) -> dict[str, T]:
    """`values` by the graph's own groups instead of by `groups`; what is not in `values` is left out."""
    return {part: values[group.name] for group in groups if group.name in values for part in parts_of(group)}


def exclude(graph: Graph, groups: Sequence[ChannelGroup], patterns: Iterable[str]) -> tuple[ChannelGroup, ...]:
    """`groups` with those pinned that a pattern names. Raises ModelError for a pattern that names none."""
    pinned = list(groups)
    for pattern in patterns:
        found = _matching(graph, pinned, pattern)
        for index in found:
            if pinned[index].pinned is None:
                pinned[index] = replace(pinned[index], pinned=EXCLUDED.format(pattern))
    return tuple(pinned)


def tie(graph: Graph, groups: Sequence[ChannelGroup], patterns: Iterable[str]) -> tuple[ChannelGroup, ...]:
    """`groups` with those a pattern names made one.

    Raises ModelError for a pattern that names fewer than two, or groups of different size; one pinned pins all.
    """
    tied = list(groups)
    for pattern in patterns:
        found = [tied[index] for index in _matching(graph, tied, pattern)]
        if len(found) < 2:
            raise ModelError(f"the pattern {pattern!r} ties {found[0].name} to nothing: name at least two layers")
        sizes = {group.size for group in found}
        if len(sizes) > 1:
            listed = ", ".join(f"{group.name} ({group.size})" for group in found)
            raise ModelError(f"the pattern {pattern!r} ties layers of different width: {listed}; tie equal ones only")
        place = tied.index(found[0])
        tied = [group for group in tied if group not in found]
        tied.insert(place, _joined(found))
    return tuple(tied)


def _joined(groups: Sequence[ChannelGroup]) -> TiedGroup:
    return TiedGroup(
        groups[0].name,
        groups[0].size,
        next((group.pinned for group in groups if group.pinned is not None), None),
        tuple(member for group in groups for member in group.members),
        tuple(node for group in groups for node in group.producers),
        tuple(node for group in groups for node in group.consumers),
        tuple(node for group in groups for node in group.carriers),
        tuple(part for group in groups for part in parts_of(group)),
    )


def _matching(graph: Graph, groups: Sequence[ChannelGroup], pattern: str) -> list[int]:
    paths = {node.name: node.path for node in graph.nodes}
    names = [[group.name, *parts_of(group), *(paths[node] for node in group.producers)] for group in groups]
    found = [index for index, known in enumerate(names) if any(fnmatchcase(name, pattern) for name in known)]
    if not found:
        shown = ", ".join(group.name for group in groups[:8]) + (", …" if len(groups) > 8 else "")
        raise ModelError(f"the pattern {pattern!r} matches no layer with channels; the model has {shown}")
    return found
