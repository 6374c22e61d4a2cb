"""On a real GPU: kernels agree with PyTorch, and the host understands what the agent says of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from device_agents.tvm.driver import Gpu, find_gpu
from hwaware.compiler.choice import Variant
from hwaware.compiler.cuda.target import CudaTarget, cuda_target
from hwaware.compiler.schedules import candidates
from hwaware.compiler.targets import host_machine, plain_target
from hwaware.compiler.tvm_agent import write_tvm_bench, write_tvm_runner
from hwaware.costs.row import OK
from hwaware.profiling.answer import run_and_ops
from hwaware.profiling.lines import BenchLines
from tests.compiler.families import FAMILIES, case
from tests.compiler.inprocess import TOLERANCE, expected, lowered, relative_error
from tests.device_agents.tvm.agents import QUICK, run_agent

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def gpu() -> Gpu:
    found, reason = find_gpu()
    if found is None:
        raise pytest.skip.Exception(str(reason))
    return found


@pytest.fixture(scope="module")
def target(gpu: Gpu) -> CudaTarget:
    return cuda_target(plain_target(host_machine()), gpu.compute_capability)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_model_agrees_with_pytorch(name: str, batch: int, target: CudaTarget, tmp_path: Path) -> None:
    made = case(name, batch)
    program = lowered(made)
    write_tvm_runner(program, target, tmp_path, name)
    words = []
    for index, value in enumerate(made.inputs):
        np.save(tmp_path / f"in{index}.npy", value.numpy())
        words += ["--input", str(tmp_path / f"in{index}.npy")]
    wanted = expected(made)
    for index in range(len(wanted)):
        words += ["--output", str(tmp_path / f"out{index}.npy")]
    answer = run_agent(tmp_path / "agent", "run", *QUICK, *words, "--per-op")
    run, _ = run_and_ops("\n".join(map(json.dumps, answer.lines)), answer.status, answer.stderr, "board")
    for index, array in enumerate(wanted):
        assert relative_error(np.load(tmp_path / f"out{index}.npy"), array) < TOLERANCE
    memory = run.section("memory")
    assert memory.integer("device") >= memory.integer("weights") + memory.integer("arena")
    assert memory.integer("peak_rss") >= memory.integer("device")


def test_every_choice_is_measured(target: CudaTarget, tmp_path: Path) -> None:
    names = ("residual", "inverted", "unet", "encoder", "split")
    works = dict.fromkeys(op.workload for name in names for op in lowered(case(name, 1)).ops)
    variants = [Variant(work, choice) for work in works for choice in candidates(work, target)]
    bench = write_tvm_bench(variants, target, tmp_path / "bench")
    for options in ((), ("--displace-kb", "4096")):
        answer = run_agent(bench, "bench", *QUICK, *options)
        lines = BenchLines({one.id: one for one in variants}, 1, "board")
        readings = [reading for line in answer.lines if (reading := lines.read(json.dumps(line))) is not None]
        assert lines.finished
        assert {reading.id: reading.row.reason for reading in readings if reading.row.status != OK} == {}


def test_code_for_a_later_gpu_is_refused(gpu: Gpu, tmp_path: Path) -> None:
    later = cuda_target(plain_target(host_machine()), "12.1")
    if gpu.compute_capability == "12.1":
        raise pytest.skip.Exception("there is no later GPU")
    work = lowered(case("flat", 1)).ops[0].workload
    bench = write_tvm_bench([Variant(work, candidates(work, later)[0])], later, tmp_path / "bench")
    reason = run_agent(bench, "bench", *QUICK).one("error")["reason"]
    assert "kernels are for sm_121" in reason
    assert gpu.name in reason


def test_the_driver_tells_what_it_is(gpu: Gpu) -> None:
    assert gpu.memory_bytes > 1 << 28
    assert gpu.multiprocessors > 0
