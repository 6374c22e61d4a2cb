"""``model.so`` of a GPU's kernels: host code for the board, machine code for its GPU, and nothing of this machine."""

from __future__ import annotations

import json
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

from hwaware.compiler.artifact import build_artifact, load_artifact
from hwaware.compiler.bundle import build_bundle
from hwaware.compiler.cuda.kernels import generate
from hwaware.compiler.cuda.nvcc import compile_source, nvcc_version
from hwaware.compiler.schedules import variant
from hwaware.compiler.targets import restored_target
from hwaware.compiler.tvm_agent import LIBRARY, write_library, write_tvm_bench, write_tvm_runner
from hwaware.compiler.versions import toolchain_identity
from hwaware.errors import BuildError
from tests.compiler.cuda.boards import ORIN, need_nvcc, workloads
from tests.compiler.families import program_of
from tests.requirements import need

PTX, MACHINE_CODE = 1, 2
_MAGIC = 0xBA55ED50


def entries(fatbin: bytes) -> set[tuple[int, int]]:
    """Kind and architecture of each piece of code in it."""
    magic, _, start, size = struct.unpack_from("<IHHQ", fatbin)
    assert magic == _MAGIC
    found, at = set(), start
    while at < start + size:
        kind, _, header, length = struct.unpack_from("<HHIQ", fatbin, at)
        (arch,) = struct.unpack_from("<I", fatbin, at + 28)
        found.add((kind, arch))
        at += header + length
    return found


def test_nvcc_writes_machine_code_and_ptx() -> None:
    need_nvcc()
    source = 'extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2.0f; }'
    assert entries(compile_source(source, "sm_87")) == {(PTX, 87), (MACHINE_CODE, 87)}


def test_wrong_source_and_old_boards_are_told() -> None:
    need_nvcc()
    with pytest.raises(BuildError, match=r"compiling kernels for sm_87 failed: .*error"):
        compile_source("nonsense", "sm_87")
    with pytest.raises(BuildError, match="compiling kernels for sm_20 failed"):
        compile_source("", "sm_20")


def test_without_nvcc_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    monkeypatch.setattr("hwaware.compiler.cuda.nvcc._USUAL", tmp_path / "nvcc")
    with pytest.raises(BuildError, match="install the CUDA toolkit"):
        compile_source("", "sm_87")


def readelf(path: Path, *options: str) -> str:
    command = [need("readelf", package="binutils"), *options, "--wide", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_library_is_the_boards(tmp_path: Path) -> None:
    need_nvcc()
    kernels = [generate(work, ORIN) for work in workloads()[:4]]
    write_library(kernels, ORIN, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [LIBRARY]
    library = tmp_path / LIBRARY
    assert "AArch64" in readelf(library, "--file-header")
    assert "NEEDED" not in readelf(library, "--dynamic")
    symbols = readelf(library, "--dyn-syms")
    for name in ("__tvm_ffi__library_bin", "hwa_sequence", "hwa_now", *(f"__tvm_ffi_{k.symbol}" for k in kernels)):
        assert f" {name}\n" in symbols
    content = library.read_bytes()
    assert struct.pack("<Q", 6) + b"fatbin" in content
    assert b"__global__" not in content


def test_a_bench_and_a_model_for_a_gpu(tmp_path: Path) -> None:
    need_nvcc()
    program = program_of("residual", 1)[1]
    variants = [variant(op.workload, ORIN) for op in program.ops[:2]]
    bench = write_tvm_bench(variants, ORIN, tmp_path / "bench")
    (tmp_path / "model").mkdir()
    write_tvm_runner(program, ORIN, tmp_path / "model", "residual")
    for path in (bench, tmp_path / "model" / "agent"):
        with zipfile.ZipFile(path) as archive:
            tables = json.loads(archive.read("payload/tables.json"))
        assert (tables["unit"], tables["arch"], tables["sentinel"]["symbol"]) == ("gpu", "sm_87", "hwa_sentinel")


def test_the_toolkit_is_part_of_what_made_the_code() -> None:
    need_nvcc()
    identity = toolchain_identity(ORIN)
    assert (identity["arch"], identity["nvcc"]) == ("sm_87", nvcc_version())


def test_an_artifact_for_a_gpu(tmp_path: Path) -> None:
    need_nvcc()
    made = program_of("residual", 1)[0]
    built = build_artifact(made.module, made.inputs, ORIN, tmp_path / "artifact", name="residual")
    assert load_artifact(built.path) == built
    files = {path.name for path in built.path.iterdir()} - {"manifest.json"}
    assert files == set(built.manifest["files"]) == {"agent", "model.so", "weights.bin"}
    assert restored_target(built.manifest["target"]) == ORIN
    assert built.manifest["toolchain"]["nvcc"] == nvcc_version()
    assert all(op["schedule"].startswith("gpu_") for op in built.manifest["ops"])


def test_a_bundle_for_a_gpu(tmp_path: Path) -> None:
    need_nvcc()
    variants = [variant(op.workload, ORIN) for op in program_of("residual", 1)[1].ops[:2]]
    bundle = build_bundle(variants, ORIN, tmp_path / "bundle", jobs=2)
    with zipfile.ZipFile(bundle) as archive:
        cells = json.loads(archive.read("payload/tables.json"))["cells"]
    assert {cell["id"] for cell in cells} == {one.id for one in variants}
