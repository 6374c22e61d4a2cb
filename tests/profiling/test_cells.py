"""Which cells: enough of them that no narrower variant of a net is without a cost."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwaware.costs.model import CostModel
from hwaware.costs.prediction import MEASURED
from hwaware.costs.steps import padded
from hwaware.errors import ModelError
from hwaware.graph.capture import capture
from hwaware.graph.channels import channel_groups
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.graph.slicing import slice_graph
from hwaware.profiling.cells import ENDS, OWN, measuring_order, model_cells
from hwaware.profiling.grid import ends, middle
from tests.costs.captured import captured
from tests.costs.tables import LANES, row, table
from tests.graph.nets import NETS


@given(size=st.integers(1, 2048), lanes=st.sampled_from([1, 4, 8, 16]))
def test_ends_reach_from_a_step_top_below_an_eighth_to_all(size: int, lanes: int) -> None:
    found = ends(size, lanes)
    assert found[-1] == size
    assert len(found) == len(set(found)) <= 2
    assert 1 <= found[0] <= max(1, size // 8)
    assert padded(found[0], lanes) == found[0] or found[0] == size
    assert found[0] <= middle(size, lanes) <= size


@cache
def costs(name: str) -> CostModel:
    """A table with all cells of the net, each as dear as its output is large."""
    rows = [row(cell.workload, 100.0 + cell.workload.output.shape[-1]) for cell in model_cells(captured(name), LANES)]
    return CostModel(table(rows))


@pytest.mark.parametrize("name", NETS)
def test_the_model_itself_is_measured(name: str) -> None:
    assert all(costs(name).cost(op.workload).provenance == MEASURED for op in lower(captured(name)).ops)


def variants(graph: Graph, count: int) -> Iterator[Graph]:
    """Random narrower graphs."""
    groups = [group for group in channel_groups(graph) if group.pinned is None and group.size > 1]
    pick = random.Random(11)  # noqa: S311
    while count:
        kept = {group.name: pick.randint(1, group.size) for group in groups}
        keep = {group.name: sorted(pick.sample(range(group.size), kept[group.name])) for group in groups}
        # A draw may cut every path through the model.
        with contextlib.suppress(ModelError):
            yield slice_graph(graph, keep)
            count -= 1


@pytest.mark.parametrize("name", NETS)
def test_every_narrower_variant_can_be_predicted(name: str) -> None:
    for narrow in variants(captured(name), 4):
        for op in lower(narrow).ops:
            assert costs(name).cost(op.workload).latency_ms > 0


def test_cells_are_unique_and_reach_the_ends() -> None:
    graph = captured("residual")
    cells = model_cells(graph, LANES)
    assert len({cell.workload.key for cell in cells}) == len(cells)
    own = {op.workload.key for op in lower(graph).ops}
    assert {cell.workload.key for cell in cells if cell.tier == OWN} == own
    assert any(cell.tier == ENDS for cell in cells)


def test_channels_that_are_tied_are_not_measured_apart() -> None:
    """A block's convolution from the stream back to the stream never meets two different widths."""
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 1), torch.nn.Conv2d(16, 16, 3, padding=1, groups=16))
    cells = model_cells(capture(net.eval(), (torch.randn(1, 3, 8, 8),)), LANES)
    assert all(cell.workload.kind in ("conv2d", "copy") for cell in cells)


def test_order_is_the_model_first_and_random_within() -> None:
    cells = model_cells(captured("residual"), LANES)
    ordered = measuring_order(cells, 1)
    tiers = [cell.tier for cell in ordered]
    assert tiers == sorted(tiers)
    assert {tiers[0], tiers[-1]} == {OWN, ENDS}
    assert sorted(cell.workload.key for cell in ordered) == sorted(cell.workload.key for cell in cells)
    assert measuring_order(cells, 2) != ordered
    assert measuring_order(cells, 1) == ordered
