from __future__ import annotations

import pytest

from benchmarks.joint_networks import KINDS, network, tight
from benchmarks.joint_solver import METERS, timings
from hwaware.compression.joint.problem import LATENCY


def test_small_networks_cost_the_same_solved_plainly() -> None:
    lines = list(timings(layers=5, widths=3, precisions=2, seeds=1, plain=True))
    assert {(line.kind, line.meters) for line in lines} == {(kind, meters) for kind in KINDS for meters in METERS}
    assert [line.loss for line in lines] == [pytest.approx(line.plain_loss, rel=1e-6) for line in lines]


@pytest.mark.parametrize("kind", KINDS)
def test_wider_layers_cost_more_of_every_meter_and_another_precision_a_conversion(kind: str) -> None:
    problem = network(kind, layers=6, widths=4, precisions=2, seed=0)
    narrow, wide = ({group.name: place for group in problem.groups} for place in (0, 6))
    for meter in METERS[1]:
        assert problem.cost(meter, narrow) < problem.cost(meter, wide)
    converted = [paid.cost for paid in problem.paid({**wide, "layer2": 7}) if paid.cost and paid.meter == LATENCY]
    assert len(converted) == len([paid for paid in problem.paid(wide) if paid.cost and paid.meter == LATENCY]) + 2
    assert tight(problem, METERS[1], 0.0) == {
        meter: min(problem.cost(meter, {group.name: place for group in problem.groups}) for place in range(8))
        for meter in METERS[1]
    }
