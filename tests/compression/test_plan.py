from __future__ import annotations

import json
from typing import Any

import pytest

from hwaware.compression.budget import Costs
from hwaware.compression.plan import GroupPlan, LayerPlan, Plan
from hwaware.compression.plan_parts import Finalist, FrontPoint, PrecisionPlan
from hwaware.errors import ArtifactError

_LAYER = PrecisionPlan(
    "conv2d", "stem.0", "int8p", {"float32": 0.3, "int8p": 0.2}, {"float32": 0.1, "int8p": 0.0}, {"int8p": 1e-3}, 0.01
)
PLAN = Plan(
    method="morphnet",
    task="resnet8@digits",
    seed=3,
    budget={"latency": "60%", "size": "10KiB"},
    limits={"latency": 0.6, "size": 10240.0},
    before=Costs(1.0, 4096.0, 2048.0),
    after=Costs(0.59, 3000.0, 1500.0),
    groups=(GroupPlan("stem", 4, 2, (0, 3), 0.01, 1, 0.02), GroupPlan("branch", 3, 0, ())),
    layers=(LayerPlan("conv2d", "stem.0", 0.5, 0.2), LayerPlan("view", "", 0.1, 0.0)),
    fixed={"fc": "an output of the model"},
    omega=1.25,
    strength=0.5,
    history=({"step": 4, "strength": 0.02, "distance": 0.1, "latency_ms": 0.9, "alive": 6},),
    note="",
    precisions=(_LAYER,),
    front=(FrontPoint({"float32": 1, "int8p": 1}, 0.59, 1e-3),),
    finalists=(Finalist("as searched", 0.59, 0.01, 0.6, True), Finalist("float32", 0.7, 0.0)),
    with_more=(("stem", "2 channels", "3 channels"),),
    recovery="calibration",
    floats={"attention": "matmul has no quantised form"},
)


def test_round_trip_through_json() -> None:
    assert Plan.from_document(json.loads(json.dumps(PLAN.document())), "plan.json") == PLAN
    assert PLAN.changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 1),
        (("groups", 0, "kept"), [0, 4]),
        (("groups", 0, "kept"), [3, 0]),
        (("groups", 0, "after"), 1),
        (("before", "latency"), -1),
        (("limits",), None),
        (("layers",), {}),
        (("precisions", 0, "own_ms"), {"float32": "fast"}),
        (("precisions", 0, "precision"), 8),
        (("front", 0, "layers"), {"int8p": -1}),
        (("finalists", 0, "chosen"), "yes"),
        (("finalists", 0, "measured_ms"), -1),
        (("with_more",), [["stem", "2 channels"]]),
        (("floats",), {"attention": 1}),
        (("history", 0, "alive"), "6"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[Any, ...], value: Any) -> None:
    document: Any = json.loads(json.dumps(PLAN.document()))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ArtifactError, match=r"plan\.json") as caught:
        Plan.from_document(document, "plan.json")
    assert str(path[0]) in str(caught.value)


@pytest.mark.parametrize("name", PLAN.document())
def test_a_field_that_is_missing_is_named(name: str) -> None:
    document = {key: value for key, value in PLAN.document().items() if key != name}
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        Plan.from_document(document, "plan.json")
