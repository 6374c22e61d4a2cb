"""Families and widths against what lowering really makes of networks that were really sliced."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from hwaware.costs.family import family, resizable, with_coordinates
from hwaware.graph.channels import channel_groups
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.graph.slicing import slice_graph
from hwaware.graph.workload import IN_PITCH, OUT_PITCH, Workload
from tests.costs.captured import captured
from tests.graph.nets import NETS


def sliced(graph: Graph, share: float) -> Graph:
    groups = [group for group in channel_groups(graph) if group.pinned is None and group.size > 2]
    return slice_graph(graph, {group.name: range(max(2, int(group.size * share))) for group in groups})


@cache
def program(name: str) -> dict[str, Workload]:
    return {op.name: op.workload for op in lower(captured(name)).ops}


def pairs(name: str, share: float) -> list[tuple[Workload, Workload]]:
    """Workloads of the same operation in the whole network and in the sliced one."""
    whole = program(name)
    narrow = {op.name: op.workload for op in lower(sliced(captured(name), share)).ops}
    shared = sorted(whole.keys() & narrow.keys())
    return [(whole[op], narrow[op]) for op in shared if whole[op].kind == narrow[op].kind]


def dense(work: Workload) -> Workload:
    """The workload without pitches, which depend on the widths of its neighbours."""
    return replace(work, attrs=tuple(item for item in work.attrs if item[0] not in (IN_PITCH, OUT_PITCH)))


@pytest.mark.parametrize("share", [0.5])
@pytest.mark.parametrize("name", NETS)
def test_widths_give_the_workload_that_lowering_makes(name: str, share: float) -> None:
    for whole, narrow in pairs(name, share):
        place = family(narrow)
        assert place.key == family(whole).key
        if resizable(whole) and not (whole.kind == "map" and place.coordinates[0] != family(whole).coordinates[0]):
            assert dense(with_coordinates(whole, place.coordinates)).key == dense(narrow).key


@pytest.mark.parametrize("name", NETS)
def test_own_widths_change_nothing(name: str) -> None:
    for work in program(name).values():
        if resizable(work):
            assert with_coordinates(work, family(work).coordinates) == work


def test_memory_around_a_part_shrinks_in_proportion() -> None:
    """The family is that of the dense operation; a part never reaches out of what is around it."""
    pitched = {
        name: [work for work in program(name).values() if dense(work) != work and work.kind != "copy"]
        for name in ("fires", "split", "dense", "unet")
    }
    assert all(pitched.values())
    for works in pitched.values():
        for work in works:
            own = family(work)
            assert own == family(dense(work))
            half = with_coordinates(work, (*own.coordinates[:-1], max(1, own.coordinates[-1] // 2)))
            assert half.out_pitch >= half.out_width
            assert half.in_pitch >= half.in_width
            assert half.out_pitch == work.out_pitch * half.out_width // work.out_width
            assert {name for name, _ in half.attrs} == {name for name, _ in work.attrs}


def test_most_operations_of_the_nets_have_slicable_widths() -> None:
    """The laws above would hold of nothing if everything counted as a move."""
    kinds = {work.kind: resizable(work) for name in NETS for work in program(name).values()}
    assert {kind for kind, able in kinds.items() if not able} == {"copy"}
    assert {"conv2d", "dense", "conv2d_transpose", "pool2d", "reduce", "matmul", "softmax"} <= kinds.keys()


def test_depthwise_is_another_family_than_dense() -> None:
    kinds = {family(work).key.split("|")[0] for work in program("inverted").values()}
    assert {"conv", "depthwise"} <= kinds


def test_families_keep_spatial_sizes_apart() -> None:
    keys = {family(work).key for work in program("unet").values() if work.kind == "conv2d"}
    assert len(keys) >= 3


@pytest.mark.parametrize("bad", [(0, 4), (4,), (4, 4, 4)])
def test_refuses_widths_that_are_none(bad: tuple[int, ...]) -> None:
    work = next(work for work in program("chain").values() if work.kind == "conv2d")
    with pytest.raises(ValueError, match="no widths"):
        with_coordinates(work, bad)


def test_refuses_widths_that_do_not_divide_into_groups() -> None:
    work = next(work for work in program("grouped").values() if dict(work.attrs).get("groups") == 3)
    assert with_coordinates(work, (9, 12)).output.shape[-1] == 12
    with pytest.raises(ValueError, match="groups"):
        with_coordinates(work, (8, 12))


def test_refuses_to_widen_a_copy() -> None:
    work = next(work for work in program("squeeze").values() if work.kind == "copy")
    with pytest.raises(ValueError, match="do not determine"):
        with_coordinates(work, family(work).coordinates)
