from __future__ import annotations

import math

import numpy as np
import pytest

from hwaware.compression.joint.problem import LATENCY, LOSS, Border, BorderCost, Choice, Group, Moment, Problem

TWO = (Choice("a", 1.0, {LATENCY: 2.0}), Choice("b", 3.0, {LATENCY: 5.0}))
GROUPS = (Group("g", TWO), Group("h", TWO))
MATRIX = np.array([[0.0, 10.0], [20.0, 30.0]])


def test_a_sum_is_that_of_constants_choices_and_borders() -> None:
    problem = Problem(GROUPS, (Border("g", "h", LATENCY, MATRIX),), constants={LATENCY: 100.0, LOSS: 7.0})
    assert problem.cost(LATENCY, {"g": 1, "h": 0}) == 100 + 5 + 2 + 20
    assert problem.cost(LOSS, {"g": 1, "h": 0}) == 7 + 3 + 1
    assert list(problem.paid({"g": 1, "h": 0})) == [BorderCost("g", "h", LATENCY, 20.0)]


def test_a_peak_is_the_largest_of_its_moments() -> None:
    inner = Border("h", "g", "memory", MATRIX)
    moments = (Moment(4.0, {"g": [1.0, 9.0]}), Moment(0.0, {"h": [0.0, 3.0]}, (inner,)))
    problem = Problem(GROUPS, peaks={"memory": moments})
    assert problem.cost("memory", {"g": 1, "h": 0}) == max(4 + 9, 0 + 10)
    assert problem.cost("memory", {"g": 0, "h": 1}) == max(4 + 1, 3 + 20)
    assert problem.meters == (LATENCY, "memory")


def test_classes_stand_for_the_choices_that_a_border_tells_apart() -> None:
    border = Border("g", "h", LATENCY, np.array([[0.0, 1.0]]), first_classes=(0, 0))
    assert [border.paid({"g": one, "h": two}).cost for one, two in ((0, 1), (1, 1), (1, 0))] == [1.0, 1.0, 0.0]


FAULTS = {
    "there are no groups": {"groups": ()},
    "two groups have the same name": {"groups": (GROUPS[0], GROUPS[0])},
    "group g has no choice": {"groups": (Group("g", ()),)},
    "g, a: a loss of nan": {"groups": (Group("g", (Choice("a", math.nan),)),)},
    "g, a: latency of nan is not a cost": {"groups": (Group("g", (Choice("a", 0.0, {LATENCY: math.nan}),)),)},
    "g, a: loss of 1.0 is not a cost": {"groups": (Group("g", (Choice("a", 0.0, {LOSS: 1.0}),)),)},
    "g, a: latency of 2.0 is not a cost": {"peaks": {LATENCY: (Moment(),)}},
    "border g, k: it needs two different groups": {"borders": (Border("g", "k", LATENCY, MATRIX),)},
    "border g, g: it needs two different groups": {"borders": (Border("g", "g", LATENCY, MATRIX),)},
    "border g, h: the cost is not a matrix": {"borders": (Border("g", "h", LATENCY, np.full((2, 2), -np.inf)),)},
    "border g, h: the matrix has 2 classes for h": {"borders": (Border("g", "h", LATENCY, MATRIX, None, (0, 2)),)},
    "border g, h: the matrix has 3 classes for g": {"borders": (Border("g", "h", LATENCY, np.zeros((3, 2))),)},
    "border g, h: memory is a peak": {
        "borders": (Border("g", "h", "memory", MATRIX),),
        "peaks": {"memory": (Moment(),)},
    },
    "energy of inf is not a constant of a sum": {"constants": {"energy": math.inf}},
    "memory of 1.0 is not a constant of a sum": {"constants": {"memory": 1.0}, "peaks": {"memory": (Moment(),)}},
    "memory: a peak needs a moment": {"peaks": {"memory": ()}},
    "loss: a peak needs a moment, and a name other than loss": {"peaks": {LOSS: (Moment(),)}},
    "memory: a constant of nan": {"peaks": {"memory": (Moment(math.nan),)}},
    "memory: what h holds is not one number": {"peaks": {"memory": (Moment(0.0, {"h": [1.0]}),)}},
    "memory: what k holds is not one number": {"peaks": {"memory": (Moment(0.0, {"k": [1.0]}),)}},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_together_is_named(fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Problem(**{"groups": GROUPS, **FAULTS[fault]})
