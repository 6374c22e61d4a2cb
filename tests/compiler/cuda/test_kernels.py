"""GPU kernels are scheduled by TVM's rules and become CUDA source, whatever the workload."""

from __future__ import annotations

import re

import pytest

from hwaware.compiler.choice import Choice, Variant
from hwaware.compiler.cuda.build import compile_module
from hwaware.compiler.cuda.imports import packed_imports, with_binary
from hwaware.compiler.cuda.kernels import candidates, generate
from hwaware.compiler.cuda.names import ELEMENT, GEMV, MATMUL, REDUCE, ROWS
from hwaware.compiler.cuda.sentinel import SYMBOL, sentinel_function
from hwaware.compiler.schedules import candidates as candidates_of
from hwaware.compiler.schedules import variant
from hwaware.errors import BuildError
from hwaware.graph.ir import Spec
from hwaware.graph.workload import Workload
from tests.compiler.cuda.boards import ORIN, workloads

_GLOBAL = re.compile(r"__global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\(")


def test_every_workload_becomes_cuda() -> None:
    kernels = [generate(work, ORIN) for work in workloads()]
    compiled = compile_module(kernels, ORIN, [sentinel_function(ORIN)])
    functions = _GLOBAL.findall(compiled.source)
    for symbol in (*(kernel.symbol for kernel in kernels), SYMBOL):
        assert any(name.startswith(symbol) for name in functions), symbol
    assert {kernel.choice.schedule for kernel in kernels} == {MATMUL, GEMV, REDUCE, ROWS, ELEMENT}
    # Fast mathematics is not exact enough for ours.
    assert not re.search(r"\b__(expf|tanhf|logf|fdividef)\b", compiled.source)


def test_each_choice_has_the_schedule_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that fails is passed over without a word: a slow kernel, and nothing tells why."""

    def none(*_: object) -> None:
        return None

    monkeypatch.setattr("tvm.s_tir.dlight.gpu.Fallback.apply", none)
    every = [Variant(work, choice) for work in workloads() for choice in candidates(work)]
    for one in every:
        if one.choice.schedule == ELEMENT:
            generate(one.workload, ORIN, one.choice)
    monkeypatch.setattr("hwaware.compiler.cuda.schedule.per_element", none)
    for one in every:
        if one.choice.schedule != ELEMENT:
            generate(one.workload, ORIN, one.choice)


def test_every_other_choice_becomes_cuda() -> None:
    others = [Variant(work, choice) for work in workloads() for choice in candidates(work)[1:]]
    assert others
    kernels = [generate(one.workload, ORIN, one.choice) for one in others]
    compile_module(kernels, ORIN)


def test_the_packed_form_is_known() -> None:
    (work, *_) = workloads()
    compiled = compile_module([generate(work, ORIN)], ORIN)
    blob = packed_imports(compiled.module)
    source = compiled.source.encode()
    assert source in blob
    changed = with_binary(blob, source, b"code")
    assert source not in changed
    assert b"fatbin" in changed


def dense(rows: int, features: int, outputs: int) -> Workload:
    return Workload("dense", (Spec((rows, features), "float32"),), Spec((rows, outputs), "float32"))


def source_of(work: Workload, choice: Choice) -> str:
    return compile_module([generate(work, ORIN, choice)], ORIN).source


def test_a_product_is_tiled_in_shared_memory() -> None:
    work = dense(64, 96, 128)
    assert candidates(work)[0].schedule == MATMUL
    assert "__shared__" in source_of(work, candidates(work)[0])


def test_an_element_a_thread_is_one_kernel_without_memory_between() -> None:
    source = source_of(dense(64, 96, 128), Choice.of(ELEMENT, threads=128))
    # It is declared before it is defined.
    assert len(set(_GLOBAL.findall(source))) == 1
    assert "__shared__" not in source
    assert "__launch_bounds__(128)" in source


def test_the_compiler_takes_them_for_this_target() -> None:
    work = dense(1, 96, 128)
    assert [choice.schedule for choice in candidates_of(work, ORIN)] == [GEMV, ELEMENT]
    assert variant(work, ORIN).choice == candidates(work)[0]


def test_what_cannot_be_written_is_said() -> None:
    spec = Spec((1, 3), "float32")
    with pytest.raises(BuildError, match="no GPU schedule for workload kind 'fft'"):
        candidates(Workload("fft", (spec,), spec))
    with pytest.raises(BuildError, match="no GPU schedule is called 'direct'"):
        generate(dense(2, 3, 4), ORIN, Choice.of("direct"))
