"""The whole agent on the processor: kernels that TVM compiled, loaded by TVM's runtime, told in the host's words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hwaware.compiler.choice import Variant
from hwaware.compiler.schedules import variant
from hwaware.compiler.targets import Target, host_machine, plain_target
from hwaware.compiler.tvm_agent import LIBRARY, pack_agent, write_tvm_bench, write_tvm_runner
from hwaware.costs.row import OK
from hwaware.errors import AgentError
from hwaware.profiling.answer import run_and_ops
from hwaware.profiling.lines import BenchLines
from tests.compiler.families import case, program_of
from tests.compiler.inprocess import TOLERANCE, Case, expected, lowered, relative_error
from tests.device_agents.tvm.agents import QUICK, run_agent


@pytest.fixture(scope="module")
def target() -> Target:
    return plain_target(host_machine())


@pytest.fixture(scope="module")
def variants(target: Target) -> list[Variant]:
    ops = [op for name in ("inverted", "encoder") for op in program_of(name, 1)[1].ops]
    return [variant(work, target) for work in dict.fromkeys(op.workload for op in ops)]


@pytest.fixture(scope="module")
def bench(variants: list[Variant], target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tvm_bench([*variants, *variants], target, tmp_path_factory.mktemp("bench") / "bundle")


def test_cells_are_listed_once(bench: Path, variants: list[Variant]) -> None:
    ids = run_agent(bench, "cells").one("cells")["ids"]
    assert sorted(ids) == sorted(one.id for one in variants)


@pytest.mark.parametrize("options", [(), ("--displace-kb", "64", "--no-pin"), ("--calm-work-ns", "1000000000")])
def test_the_host_understands_every_cell(bench: Path, variants: list[Variant], options: tuple[str, ...]) -> None:
    answer = run_agent(bench, "bench", *QUICK, *options)
    assert answer.status == 0, answer.stderr
    lines = BenchLines({one.id: one for one in variants}, 1, "board")
    readings = [reading for line in answer.lines if (reading := lines.read(json.dumps(line))) is not None]
    assert lines.finished
    assert lines.measured == set(lines.wanted)
    assert {reading.id: reading.row.reason for reading in readings if reading.row.status != OK} == {}
    for reading in readings:
        assert reading.around is not None
        assert reading.around.calm is (True if "--calm-work-ns" in options else None)
        assert reading.row.n >= 3
        assert reading.row.arg_bytes > 0
        assert (reading.row.inner == 1) or "--displace-kb" not in options


def test_the_order_is_the_seeds(bench: Path, variants: list[Variant], tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("\n".join(one.id for one in variants[:4]) + "\n")

    def order(seed: str) -> list[str]:
        answer = run_agent(bench, "bench", *QUICK, "--only-from", ids, "--seed", seed)
        return [line["id"] for line in answer.lines if line["type"] == "cell"]

    assert order("1") == order("1")
    assert len({tuple(order(seed)) for seed in ("1", "2", "3")}) > 1


def inputs_of(made: Case, folder: Path) -> list[str]:
    """Options that give the model its inputs."""
    words = []
    for index, value in enumerate(made.inputs):
        np.save(folder / f"in{index}.npy", value.numpy())
        words += ["--input", str(folder / f"in{index}.npy")]
    return words


@pytest.mark.parametrize("name", ["inverted", "unet", "encoder", "attention", "split", "inception"])
def test_the_model_agrees_with_pytorch(name: str, target: Target, tmp_path: Path) -> None:
    made = case(name, 2)
    program = lowered(made)
    assembled = write_tvm_runner(program, target, tmp_path, name)
    wanted = expected(made)
    outputs = [tmp_path / f"out{index}.npy" for index in range(len(wanted))]
    words = [word for path in outputs for word in ("--output", str(path))]
    answer = run_agent(tmp_path / "agent", "run", *QUICK, *inputs_of(made, tmp_path), *words, "--per-op")
    run, ops = run_and_ops("\n".join(map(json.dumps, answer.lines)), answer.status, answer.stderr, "board")
    for path, array in zip(outputs, wanted, strict=True):
        assert relative_error(np.load(path), array) < TOLERANCE
    assert [(op.word("name"), op.text("key")) for op in ops] == [(op.name, op.workload.key) for op in program.ops]
    assert run.integer("threads") == 1
    memory = run.section("memory")
    assert memory.integer("weights") == assembled.tables.weight_bytes
    assert memory.integer("arena") == assembled.tables.arena_bytes
    assert (memory.integer("device"), memory.boolean("unified")) == (0, True)
    assert memory.integer("peak_rss") > 0


def test_without_files_inputs_are_made_up(target: Target, tmp_path: Path) -> None:
    write_tvm_runner(lowered(case("encoder", 1)), target, tmp_path, "encoder")
    answer = run_agent(tmp_path / "agent", "run", *QUICK, "--thin", "--no-pin")
    assert (answer.status, [line["type"] for line in answer.lines]) == (0, ["run", "done"])


def test_wrong_files_are_refused(target: Target, tmp_path: Path) -> None:
    made = case("flat", 1)
    write_tvm_runner(lowered(made), target, tmp_path, "flat")
    words = inputs_of(made, tmp_path)
    refusals = {
        "the model has 1 inputs, --input was given 2 times": [*words, *words],
        "cannot be read": ["--input", str(tmp_path / "absent.npy")],
        "is no .npy file": ["--input", str(tmp_path / "agent")],
    }
    for complaint, options in refusals.items():
        answer = run_agent(tmp_path / "agent", "run", *QUICK, *options)
        with pytest.raises(AgentError) as refusal:
            run_and_ops("\n".join(map(json.dumps, answer.lines)), answer.status, answer.stderr, "board")
        assert complaint in str(refusal.value)
        assert answer.status == 1


def test_equal_contents_are_equal_files(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.write_bytes(b"code")
    for name in ("a", "b"):
        pack_agent(tmp_path / name, {"schema": 1}, {LIBRARY: library})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "library"]
