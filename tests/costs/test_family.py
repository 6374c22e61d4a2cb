"""Families and widths against what lowering really makes of networks that were really sliced."""

from __future__ import annotations

import pytest
import torch

from hwaware.costs.family import family, resizable, with_coordinates
from hwaware.graph.capture import capture
from hwaware.graph.channels import channel_groups
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.graph.slicing import slice_graph
from hwaware.graph.workload import Workload
from tests.graph.nets import NETS, SHAPE, build


def captured(name: str) -> Graph:
    return capture(build(name), (torch.randn(1, *SHAPE),))


def sliced(graph: Graph, share: float) -> Graph:
    groups = [group for group in channel_groups(graph) if group.pinned is None and group.size > 2]
    return slice_graph(graph, {group.name: range(max(2, int(group.size * share))) for group in groups})


def pairs(name: str, share: float) -> list[tuple[Workload, Workload]]:
    """Workloads of the same operation in the whole network and in the sliced one."""
    graph = captured(name)
    whole = {op.name: op.workload for op in lower(graph).ops}
    narrow = {op.name: op.workload for op in lower(sliced(graph, share)).ops}
    return [(whole[op], narrow[op]) for op in whole.keys() & narrow.keys()]


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("name", NETS)
def test_widths_give_the_workload_that_lowering_makes(name: str, share: float) -> None:
    for whole, narrow in pairs(name, share):
        if resizable(whole):
            place = family(narrow)
            assert with_coordinates(whole, place.coordinates).key == narrow.key
            assert place.key == family(whole).key


@pytest.mark.parametrize("name", NETS)
def test_own_widths_change_nothing(name: str) -> None:
    for op in lower(captured(name)).ops:
        if resizable(op.workload):
            assert with_coordinates(op.workload, family(op.workload).coordinates) == op.workload


def test_most_operations_of_the_nets_have_slicable_widths() -> None:
    """The laws above would hold of nothing if everything counted as a move."""
    kinds = {op.workload.kind: resizable(op.workload) for name in NETS for op in lower(captured(name)).ops}
    assert {kind for kind, able in kinds.items() if not able} <= {"copy", "map"}
    assert {"conv2d", "dense", "conv2d_transpose", "pool2d", "reduce", "matmul", "softmax"} <= kinds.keys()


def test_depthwise_is_another_family_than_dense() -> None:
    kinds = {family(op.workload).key.split("|")[0] for op in lower(captured("inverted")).ops}
    assert {"conv", "depthwise"} <= kinds


def test_families_keep_spatial_sizes_apart() -> None:
    keys = {family(op.workload).key for op in lower(captured("unet")).ops if op.workload.kind == "conv2d"}
    assert len(keys) >= 3


@pytest.mark.parametrize("bad", [(0, 4), (4,), (4, 4, 4)])
def test_refuses_widths_that_are_none(bad: tuple[int, ...]) -> None:
    work = next(op.workload for op in lower(captured("chain")).ops if op.workload.kind == "conv2d")
    with pytest.raises(ValueError, match="no widths"):
        with_coordinates(work, bad)


def test_refuses_widths_that_do_not_divide_into_groups() -> None:
    work = next(op.workload for op in lower(captured("grouped")).ops if dict(op.workload.attrs).get("groups") == 3)
    assert with_coordinates(work, (9, 12)).output.shape[-1] == 12
    with pytest.raises(ValueError, match="groups"):
        with_coordinates(work, (8, 12))


def test_refuses_to_widen_a_copy() -> None:
    work = next(op.workload for op in lower(captured("squeeze")).ops if op.workload.kind == "copy")
    with pytest.raises(ValueError, match="do not determine"):
        with_coordinates(work, family(work).coordinates)
