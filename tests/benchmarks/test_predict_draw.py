"""Which variants are drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.predict.draw import FAMILIES, draw, reference, source
from hwaware.costs.model_check import digest_of
from hwaware.errors import ModelError
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.profiling.variants import sliced

NETS = Path(__file__).parents[1] / "profiling" / "nets.py"


@pytest.mark.parametrize("family", ["residual", "plain-3x3"])
def test_every_width_of_every_group_may_come_and_the_variant_has_it(family: str) -> None:
    origin = source(reference(family))
    draws = draw(origin, 6, seed=3)
    assert len({tuple(widths.items()) for widths in draws.widths}) == 6
    for widths in draws.widths:
        assert set(widths) == {group.name for group in origin.groups}
        assert all(group.size // 8 <= widths[group.name] <= group.size for group in origin.groups)
    lanes = {width % 8 for widths in draws.widths for width in widths.values()}
    assert len(lanes) > 4  # not only what suits the processor
    module = origin.variant(draws.widths[0])
    captured = capture(module, origin.model.example_inputs)
    expected = sliced(origin.graph, origin.groups, draws.widths[0])
    assert [node.spec.shape for node in captured.nodes] == [node.spec.shape for node in expected.nodes]
    with torch.no_grad():
        assert torch.isfinite(module(*origin.model.example_inputs)).all()


def test_draws_are_the_same_again_and_a_longer_list_begins_with_a_shorter_one() -> None:
    origin = source("zoo:resnet20")
    short, long, other = draw(origin, 2, 1), draw(origin, 4, 1), draw(origin, 2, 2)
    assert long.widths[:2] == short.widths
    assert draw(origin, 2, 1) == short
    assert other.widths != short.widths


def test_what_was_measured_for_the_table_is_not_drawn() -> None:
    origin = source("zoo:resnet20")
    first, second = draw(origin, 2, 1).widths
    program = lower(sliced(origin.graph, origin.groups, first))
    draws = draw(origin, 1, 1, frozenset({digest_of(op.workload.key for op in program.ops)}))
    assert (draws.widths, draws.redrawn) == ((second,), 1)
    assert draws.why == "profiled or drawn before"


def test_a_net_with_too_few_variants_is_given_up() -> None:
    origin = source(f"{NETS}:tiny")
    assert len(draw(origin, 5, 1).widths) == 5
    with pytest.raises(ModelError, match=r"nets.tiny: \d+ draws are of no use, the first: "):
        draw(origin, 32, 1)  # 4 times 8, less the whole: 31


def test_families_are_nets_of_the_zoo_and_any_other_model_is_named_in_full() -> None:
    assert [reference(family) for family in FAMILIES] == list(FAMILIES.values())
    assert reference("zoo:resnet8") == "zoo:resnet8"
