"""What a measured choice says about other workloads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwaware.compiler.choice import Choice
from hwaware.costs.choices import Choices
from hwaware.costs.row import GRAPH
from hwaware.errors import BuildError, TableError
from hwaware.graph.workload import Step
from tests.costs.tables import conv, pool, row, table

A, B = Choice.of("conv2d", positions=4), Choice.of("winograd", tile=4)


def test_the_own_choice_then_the_anchors_then_the_nearest_width() -> None:
    choices = Choices()
    assert choices.of(conv(8, 8)) is None
    choices.add(conv(8, 8), A)
    choices.add(conv(64, 64), B)
    assert choices.of(conv(8, 8)) == A
    assert choices.of(conv(64, 64)) == B
    assert choices.of(replace(conv(64, 64), epilogue=(Step("relu"),))) == B
    assert choices.of(conv(48, 33)) == B
    assert choices.of(conv(11, 7)) == A
    assert choices.of(pool(8)) is None


def test_rows_tell_what_they_were_measured_with() -> None:
    rows = [replace(row(conv(8, 8), 1.0), schedule=str(A)), replace(row(conv(64, 64), 9.0), schedule=str(B))]
    assert Choices.of_rows(rows).of(conv(65, 65)) == B
    assert len(Choices.of_rows(replace(row(conv(8, 8), 1.0), schedule="") for _ in range(2))) == 0
    with pytest.raises(BuildError, match="no schedule choice"):
        Choices.of_rows([replace(rows[0], schedule="rm -rf")])


@pytest.mark.parametrize("graph_first", [False, True])
def test_the_schedule_of_a_whole_model_goes_before_that_of_an_operation_alone(graph_first: bool) -> None:
    """In whichever order two profiles into one table left them: that row's time is what the table answers with."""
    alone = replace(row(conv(8, 8), 1.0), schedule=str(A))
    graph = replace(row(conv(8, 8), 2.0), schedule=str(B), state=GRAPH)
    choices = Choices.of_rows([graph, alone] if graph_first else [alone, graph])
    assert choices.of(conv(8, 8)) == B
    assert choices.of(conv(8, 9)) == A


def test_a_table_with_another_text_for_a_choice_is_refused() -> None:
    made = table([replace(row(conv(8, 8), 1.0), schedule="../..")])
    with pytest.raises(TableError, match=r"corrupt: .*no schedule choice"):
        _ = made.choices
