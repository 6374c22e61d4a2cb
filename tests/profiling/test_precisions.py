"""What is measured of a model in other precisions than float32."""

from __future__ import annotations

import random

import pytest
import torch

from hwaware.compiler.cores import EXTENDED
from hwaware.compiler.cuda.target import cuda_target
from hwaware.compiler.targets import base_target
from hwaware.errors import TableError
from hwaware.graph.capture import capture
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.profiling.cells import model_cells
from hwaware.profiling.precisions import Precision, mixed, parse_precisions, uniform, usual
from hwaware.profiling.variants import Variants, prunable_groups
from hwaware.zoo.registry import build

LANES = 8


def _graph() -> Graph:
    module, inputs = build("resnet8")
    return capture(module.eval(), inputs)


def _types(graph: Graph) -> list[tuple[str, str, str]]:
    """Kind, input's and output's type of each operation with weights."""
    ops = [op for op in lower(graph).ops if op.kind in ("conv2d", "dense")]
    return [(op.kind, op.input_specs[0].dtype, op.output_spec.dtype) for op in ops]


@pytest.mark.parametrize(("precision", "paired"), [("int8", False), ("int8p", True)])
def test_in_integers_every_layer_reads_levels(precision: Precision, paired: bool) -> None:
    graph = uniform(_graph(), precision)
    assert {read for _, read, _ in _types(graph)} == {"uint8"}
    convolutions = [op for op in lower(graph).ops if op.kind == "conv2d"]
    assert {op.workload.attr("paired") for op in convolutions} == {paired}


def test_stored_weights_leave_activations_alone() -> None:
    graph = uniform(_graph(), "weight8")
    assert {types[1:] for types in _types(graph)} == {("float32", "float32")}
    assert {op.workload.attr("stored") for op in lower(graph).ops if op.kind == "conv2d"} == {"int8"}


def test_a_mixture_has_layers_of_several_kinds_and_is_the_same_again() -> None:
    one, same = (mixed(_graph(), ("int8p",), random.Random(3)) for _ in range(2))  # noqa: S311
    assert {read for _, read, _ in _types(one)} == {"float32", "uint8"}
    assert [op.workload.key for op in lower(one).ops] == [op.workload.key for op in lower(same).ops]


def test_cells_of_a_precision_come_beside_those_of_float32() -> None:
    plain = {cell.workload.key: cell.tier for cell in model_cells(_graph(), LANES)}
    both = {cell.workload.key: cell.tier for cell in model_cells(_graph(), LANES, ("int8p",))}
    assert plain.items() <= both.items()
    more = [key for key in both if key not in plain]
    assert any("u8" in key for key in more)
    # Whatever lowering makes of the model, whole and at the narrowest, is among them.
    assert {op.workload.key for op in lower(uniform(_graph(), "int8p")).ops} <= both.keys()


def test_variants_are_drawn_in_precisions() -> None:
    graph = _graph()
    variants = Variants(graph, prunable_groups(graph), LANES, ("int8p", "weight8"))
    programs = [variants.program(f"free{number}") for number in range(8)]
    types = [
        {op.input_specs[0].dtype for op in program.ops if op.kind == "conv2d"}
        for program in programs
        if program is not None
    ]
    assert len(types) == 8
    assert {"float32"} in types
    assert any("uint8" in each for each in types)


def test_a_model_without_groups_has_variants_of_precision() -> None:
    module = torch.nn.Linear(8, 4)
    graph = capture(module, (torch.randn(1, 8),))
    assert Variants(graph, [], LANES).program("free0") is None
    assert Variants(graph, [], LANES, ("int8",)).program("free0") is not None


def test_precisions_are_known_names_in_one_order() -> None:
    assert parse_precisions("weight8, int8") == ("int8", "weight8")
    assert parse_precisions("") == parse_precisions("float32") == ()
    with pytest.raises(TableError, match=r"no precision 'int9': choose of .*int8p"):
        parse_precisions("int8,int9")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("x86_64-avx2", ("int8p",)), ("aarch64-a72", ("int8",)), ("x86_64-avx512vnni", ("int8",)), ("riscv64", ("int8",))],
)
def test_without_being_told_the_faster_integers_are_measured(name: str, wanted: tuple[Precision, ...]) -> None:
    extended = {target.name: target for targets in EXTENDED.values() for target in targets}
    assert usual(extended.get(name) or base_target(name)) == wanted


def test_no_integers_on_a_gpu() -> None:
    assert usual(cuda_target(base_target("aarch64"), "8.7")) == ()
