"""A workload's key is the name of its object code and of its cost: canonical, and one for each computation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hwaware.graph.capture import capture
from hwaware.graph.ir import Spec
from hwaware.graph.lower import lower
from hwaware.graph.workload import CHANNEL, FULL, NONE, Step, Workload, canonical
from tests.compiler.families import FAMILIES, case, program_of

NAMES = st.sampled_from(["conv2d", "dense", "map", "copy", "stride", "padding", "mode", "tanh", "none"])
# Numbers as float32 holds them: kernels compute with no more.
NUMBERS = st.floats(width=32, allow_nan=False)
SCALARS = st.one_of(st.integers(-9, 2**40), st.booleans(), NUMBERS, NAMES)
ATTRS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
SPECS = st.builds(
    Spec,
    st.lists(st.integers(0, 300), min_size=1, max_size=4).map(tuple),
    st.sampled_from(["float32", "int64", "int32", "bool"]),
)
STEPS = st.builds(
    Step,
    NAMES,
    st.lists(st.one_of(NUMBERS, NAMES), max_size=2).map(tuple),
    st.one_of(st.sampled_from([NONE, FULL, CHANNEL]), st.lists(st.integers(0, 99), max_size=3).map(tuple)),
    st.booleans(),
)
WORKLOADS = st.builds(
    Workload,
    NAMES,
    st.lists(SPECS, max_size=3).map(tuple),
    SPECS,
    st.dictionaries(NAMES, ATTRS, max_size=3).map(canonical),
    st.lists(STEPS, max_size=3).map(tuple),
)


@given(WORKLOADS, WORKLOADS)
def test_equal_keys_mean_equal_workloads(a: Workload, b: Workload) -> None:
    if a.key == b.key:
        assert a == b


@given(WORKLOADS, st.data())
def test_any_change_changes_the_key(work: Workload, data: st.DataObject) -> None:
    attrs = data.draw(st.dictionaries(NAMES, ATTRS, max_size=3).map(canonical))
    steps = data.draw(st.lists(STEPS, max_size=3).map(tuple))
    for other in (
        Workload(work.kind, work.inputs, work.output, attrs, work.epilogue),
        Workload(work.kind, work.inputs, work.output, work.attrs, steps),
    ):
        if other != work:
            assert other.key != work.key


@given(st.dictionaries(NAMES, ATTRS, max_size=4))
def test_the_order_of_attributes_does_not_matter(attrs: dict[str, object]) -> None:
    spec = Spec((1,), "float32")
    backwards = dict(reversed(list(attrs.items())))
    first = Workload("map", (), spec, canonical(attrs))  # type: ignore[arg-type]
    second = Workload("map", (), spec, canonical(backwards))  # type: ignore[arg-type]
    assert first == second
    assert hash(first) == hash(second)
    assert first.key == second.key


@pytest.mark.parametrize("name", ["residual", "encoder", "shuffle"])
def test_two_captures_give_the_same_keys(name: str) -> None:
    def keys() -> list[str]:
        made = case(name, 2)
        for parameter in made.module.parameters():
            nn.init.normal_(parameter)  # other weights, the same computation
        return [op.workload.key for op in lower(capture(made.module, made.inputs)).ops]

    assert keys() == keys()


def test_every_family_has_hashable_workloads() -> None:
    for name in FAMILIES:
        workloads = [op.workload for op in program_of(name, 1)[1].ops]
        assert len(set(workloads)) == len({work.key for work in workloads})


def test_keys_stay_what_tables_were_written_with() -> None:
    net = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.ReLU6())
    keys = [op.workload.key for op in lower(capture(net.eval(), (torch.zeros(1, 3, 8, 8),))).ops]
    assert (
        "conv2d|1x8x8x3:f32->1x4x4x5:f32|dilation=(1,1);groups=1;kernel=(3,3);padding=(1,1);stride=(2,2)"
        "|add[channelc]+clip(0,6)"
    ) in keys
