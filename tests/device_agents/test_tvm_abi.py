"""A kernel that TVM compiled runs in the agent, and in an app that links only the model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from device_agents import NATIVE
from tests.device_agents.building import RELEASED, SANITIZED, SOURCES, WARNINGS, build_agent, run_agent
from tests.requirements import need, need_path

QUICK = ("--min-time-ms", "2", "--max-count", "30")
EMBEDDED = (NATIVE / "model.c", NATIVE / "error.c", NATIVE / "embed" / "runtime_serial.c")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """matmul_exp.o: both stages parallel, the product between them in a workspace."""
    import tvm
    from tvm import te

    a = te.placeholder((64, 128), name="A")
    b = te.placeholder((128, 32), name="B")
    k = te.reduce_axis((0, 128), name="k")
    c = te.compute((64, 32), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="C")
    d = te.compute((64, 32), lambda i, j: tvm.tirx.exp(c[i, j]), name="D")
    function = te.create_prim_func([a, b, d]).with_attr("global_symbol", "matmul_exp")
    schedule = tvm.s_tir.Schedule(tvm.IRModule({"matmul_exp": function}))
    schedule.work_on("matmul_exp")
    for block in ("C", "D"):
        schedule.parallel(schedule.get_loops(schedule.get_sblock(block))[0])
    compiled = tvm.compile(schedule.mod, target=tvm.target.Target({"kind": "llvm"}))
    path = tmp_path_factory.mktemp("tvm") / "matmul_exp.o"
    compiled.mod.write_to_file(str(path))
    return path


@pytest.fixture(scope="module", params=[RELEASED, SANITIZED], ids=["released", "sanitized"])
def tvm_agent(request: pytest.FixtureRequest, kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    executable = tmp_path_factory.mktemp("agent") / "agent"
    return build_agent(executable, [SOURCES / "tvm_tables.c", kernel], request.param)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_kernel_computes_in_the_agent(tvm_agent: Path, tmp_path: Path, threads: str) -> None:
    need_path(Path("/sys/devices/system/cpu/cpu1"), why="two cpus are needed")
    random = np.random.default_rng(3)
    a = random.normal(size=(64, 128)).astype(np.float32) / 20
    b = random.normal(size=(128, 32)).astype(np.float32)
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    files = ("--input", tmp_path / "a.npy", "--input", tmp_path / "b.npy", "--output", tmp_path / "d.npy")
    answer = run_agent(tvm_agent, "run", *QUICK, *files, "--per-op", "--threads", threads)
    assert (answer.status, answer.stderr) == (0, "")
    np.testing.assert_allclose(np.load(tmp_path / "d.npy"), np.exp(a @ b), rtol=1e-4)
    assert answer.one("run")["memory"]["workspace"] == 64 * 32 * 4


def test_the_kernels_own_checks_reach_the_report(tvm_agent: Path) -> None:
    cells = {line["id"]: line for line in run_agent(tvm_agent, "bench", *QUICK).lines[:-1]}
    assert cells["right"]["status"] == "ok"
    assert cells["right"]["workspace_bytes"] == 64 * 32 * 4
    assert cells["wrong"]["status"] == "failed"
    assert cells["wrong"]["reason"].startswith("kernel error: ")
    assert "Mismatched D." in cells["wrong"]["reason"]


def test_a_release_with_one_kernel_is_under_a_mebibyte(kernel: Path, tmp_path: Path) -> None:
    agent = build_agent(tmp_path / "agent", [SOURCES / "tvm_tables.c", kernel], RELEASED)
    assert agent.stat().st_size < 1 << 20


def test_an_app_links_the_model_alone(kernel: Path, tmp_path: Path) -> None:
    app = tmp_path / "app"
    sources = [*EMBEDDED, SOURCES / "tvm_tables.c", SOURCES / "app.c", kernel]
    command = [
        need("cc", package="gcc"),
        "-std=gnu11",
        *WARNINGS,
        *SANITIZED,
        "-I",
        str(NATIVE),
        "-o",
        str(app),
    ]
    subprocess.run([*command, *map(str, sources), "-lm"], check=True)
    done = subprocess.run([str(app)], capture_output=True, text=True, check=True)
    first, *values = done.stdout.splitlines()
    assert first == "MemoryError: hwa_embed_workspace was given too little memory"
    a = ((np.arange(64 * 128) % 7) * np.float32(0.01)).reshape(64, 128)
    b = ((np.arange(128 * 32) % 7) * np.float32(0.01)).reshape(128, 32)
    np.testing.assert_allclose(np.array(values, np.float32).reshape(64, 32), np.exp(a @ b), rtol=1e-4)


@pytest.mark.parametrize("optimization", ["-Os", "-O2", "-O3"])
def test_the_embedded_runtime_needs_memset_at_most(tmp_path: Path, optimization: str) -> None:
    objects = []
    for source in EMBEDDED:
        objects.append(str(tmp_path / (source.stem + ".o")))
        command = [
            need("cc", package="gcc"),
            "-std=gnu11",
            "-c",
            optimization,
            str(source),
            "-o",
            objects[-1],
        ]
        subprocess.run(command, check=True)
    merged = tmp_path / "all.o"
    subprocess.run([need("ld", package="binutils"), "-r", "-o", str(merged), *objects], check=True)
    listed = subprocess.run(
        [need("nm", package="binutils"), "--undefined-only", "--format=posix", str(merged)],
        capture_output=True,
        text=True,
        check=True,
    )
    undefined = {line.split()[0] for line in listed.stdout.splitlines()}
    assert undefined <= {"memset", "_GLOBAL_OFFSET_TABLE_"}
