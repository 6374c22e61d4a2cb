"""The FMA loop is what it claims to be, and both loops compute what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tvm_ffi

from benchmarks.machine import CHAINS, FMA, FMA_STEPS, STREAM, STREAM_BYTES, aligned, compile_loops, machine
from hwaware.compiler.targets import base_target
from tests.compiler.disassembly import innermost_loops

AVX2 = base_target("x86_64-avx2")
BESIDE = 3  # counting and branching


@pytest.mark.parametrize("name", ["x86_64-avx512", "x86_64-avx2"])
def test_the_fma_loop_is_multiply_adds_on_registers(name: str, tmp_path: Path) -> None:
    target = base_target(name)
    compile_loops(target, 1).mod.write_to_file(str(tmp_path / "loops.o"), "o")
    loop = innermost_loops(tmp_path / "loops.o", target.name)[0]
    assert len(loop.sums) == CHAINS  # independent, each in a register of its own
    assert loop.multiply_adds >= len(loop.body) - BESIDE
    assert not [item.text for item in loop.body if "(" in item.text]  # no memory operand


def test_the_loops_do_their_work() -> None:
    module = compile_loops(AVX2, 2)
    lanes = AVX2.lanes
    sums, factors, data = aligned(2 * CHAINS * lanes), aligned(2 * lanes), aligned(STREAM_BYTES // 4)
    factors[:lanes], factors[lanes:] = 0.5, 3.0
    sums[:] = np.random.default_rng().standard_normal(sums.size)
    module[FMA](*(tvm_ffi.from_dlpack(array) for array in (factors, sums)))
    np.testing.assert_allclose(sums, 6.0, rtol=1e-6)  # the fixed point of s/2 + 3
    data[:] = 0.0
    data[:: data.size // 7] = 1.0
    sums[:] = 0.0
    module[STREAM](*(tvm_ffi.from_dlpack(array) for array in (data, sums)))
    assert sums.sum() == (data[: sums.size * (data.size // sums.size)]).sum()


def test_the_figures_are_of_a_machine() -> None:
    limits = machine(AVX2, 1)
    assert limits.fma_flop == 2 * FMA_STEPS * CHAINS * AVX2.lanes
    assert 1 < limits.peak_gflops(3) < 1000
    assert 0.1 < limits.bandwidth_gbs(2) < 1000
