"""What is counted of a GPU kernel is what its blocks of threads do."""

from __future__ import annotations

import numpy as np
import pytest

from hwaware.compiler.cuda.kernels import candidates
from hwaware.compiler.cuda.names import ELEMENT, MATMUL
from hwaware.compiler.effort import NAMES, effort
from hwaware.compiler.sharing import ALONE, sharing
from hwaware.graph.arithmetic import multiply_adds
from hwaware.graph.ir import Spec
from hwaware.graph.workload import Workload
from tests.compiler.cuda.boards import ORIN, workloads

COUNTED = {"call", "add", "bytes", "weights", "launch"}


def counts_of(work: Workload, which: int = 0) -> dict[str, float]:
    counts = effort(work, ORIN, candidates(work)[which])
    assert counts.shape == (len(NAMES),)
    return dict(zip(NAMES, map(float, counts), strict=True))


def test_all_that_can_be_generated_can_be_counted() -> None:
    for work in workloads():
        for which, choice in enumerate(candidates(work)):
            counts = counts_of(work, which)
            assert np.isfinite(list(counts.values())).all()
            assert {name for name, count in counts.items() if count} <= COUNTED
            assert counts["call"] == 1
            assert counts["launch"] >= 1
            assert counts["add"] * 1024 >= multiply_adds(work)
            assert sharing(work, ORIN, choice, 4) == ALONE


@pytest.mark.parametrize(("rows", "features", "outputs", "tiles"), [(32, 16, 64, 1), (33, 17, 65, 8), (1, 16, 64, 0)])
def test_products_are_padded_to_tiles(rows: int, features: int, outputs: int, tiles: int) -> None:
    work = Workload("dense", (Spec((rows, features), "float32"),), Spec((rows, outputs), "float32"))
    padded = [choice for choice in candidates(work) if choice.schedule == MATMUL]
    assert bool(padded) == bool(tiles)
    if tiles:
        assert counts_of(work)["add"] == tiles * 32 * 16 * 64 / 1024
    (element,) = (place for place, choice in enumerate(candidates(work)) if choice.schedule == ELEMENT)
    assert counts_of(work, element)["add"] == max(rows * features * outputs, features, rows * outputs) / 1024
    assert counts_of(work)["weights"] == 4 * features * outputs


def test_each_part_of_a_copy_is_a_launch() -> None:
    copies = [work for work in workloads() if work.kind == "copy"]
    launches = {len(dict(work.attrs)["parts"]) + ("fill" in dict(work.attrs)): work for work in copies}  # type: ignore[arg-type]
    assert len(launches) > 1
    for count, work in launches.items():
        assert counts_of(work)["launch"] == count
