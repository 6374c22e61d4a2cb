from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwaware.compression.joint.problem import LATENCY, LOSS
from hwaware.compression.joint.sweep import sweep
from hwaware.errors import BudgetError
from tests.compression.joint.problems import ENERGY, MEMORY, drawn, every, kept

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS, meter=st.sampled_from([LATENCY, ENERGY, MEMORY]))
@settings(max_examples=60, deadline=None)
def test_the_front_has_the_best_within_each_limit_and_no_other(seed: int, meter: str) -> None:
    case = drawn(seed)
    _, costs = every(case.problem)
    assume(len(costs[LOSS]) > 0 and meter in case.problem.meters)
    others = {name: limit for name, limit in case.limits.items() if name != meter}
    limits = [float(np.quantile(costs[meter], share)) for share in (0.0, 0.15, 0.4, 0.7, 1.0)]
    best = {}
    for limit in limits:
        inside = kept(costs, {meter: limit, **others})
        if inside.any():
            best[limit] = costs[LOSS][inside].min()
    if not best:
        with pytest.raises(BudgetError):
            sweep(case.problem, meter, limits, others)
        return
    front = sweep(case.problem, meter, limits, others)
    for limit, loss in best.items():
        reached = [each for each in front if each.costs[meter] <= limit + 1e-9 * abs(limit) + 1e-12]
        assert min(each.loss for each in reached) == pytest.approx(loss, abs=1e-11)
    found = [(each.costs[meter], each.loss) for each in front]
    for earlier, later in itertools.pairwise(found):
        assert later[0] < earlier[0]
        assert later[1] > earlier[1]
    assert all(each.loss in [pytest.approx(loss, abs=1e-11) for loss in best.values()] for each in front)


def test_limits_out_of_reach_are_left_out() -> None:
    case = drawn(11)
    _, costs = every(case.problem)
    least = float(costs[LATENCY].min())
    assert len(sweep(case.problem, LATENCY, [least, least - 1.0])) == 1
