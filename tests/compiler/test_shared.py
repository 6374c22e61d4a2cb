"""``model.so`` asks for no library, so that it loads wherever TVM's runtime does, whoever linked it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import tvm_ffi
from torch import nn

from hwaware.compiler.build import write_object
from hwaware.compiler.schedules import generate
from hwaware.compiler.shared import link_shared
from hwaware.compiler.targets import Target, base_target
from hwaware.compiler.toolchain import toolchain
from hwaware.errors import BuildError
from tests.compiler.families import case
from tests.compiler.inprocess import TOLERANCE, Case, expected, guarded, lowered, relative_error
from tests.requirements import need

# What TVM's runtime and every C library have; the last is of ARM's C++ runtime, which TVM is linked to.
OPEN = {"TVMFFIErrorSetRaisedFromCStrParts", "memset", "__aeabi_unwind_cpp_pr0"}


def kernels_linked(made: Case, target: Target, folder: Path) -> Path:
    """``model.so`` of all kernels of a case."""
    kernels = {op.workload.key: generate(op.workload, target) for op in lowered(made).ops}
    write_object(list(kernels.values()), target, folder / "kernels.o")
    link_shared(target, ["kernels.o"], folder / "model.so")
    assert sorted(path.name for path in folder.iterdir()) == ["kernels.o", "model.so"]
    return folder / "model.so"


def readelf(path: Path, *options: str) -> str:
    command = [need("readelf", package="binutils"), *options, "--wide", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("name", ["x86_64", "aarch64-a76", "armv7", "riscv64"])
def test_it_needs_no_library(name: str, tmp_path: Path) -> None:
    library = kernels_linked(case("encoder", 1), base_target(name), tmp_path)
    assert "NEEDED" not in readelf(library, "--dynamic")
    rows = [line.split() for line in readelf(library, "--dyn-syms").splitlines() if " UND " in line]
    assert {row[-1] for row in rows if row[-1] != "UND"} <= OPEN


def test_one_that_was_cross_linked_loads_beside_glibc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = base_target("x86_64")
    monkeypatch.setattr("hwaware.compiler.toolchain.shutil.which", lambda *_: None)
    assert toolchain(target).name == "zig"
    torch.manual_seed(3)
    made = Case(nn.Linear(17, 9).eval(), (torch.randn(4, 17),))
    library = tvm_ffi.load_module(str(kernels_linked(made, target, tmp_path)))
    (op,) = lowered(made).ops
    kernel = generate(op.workload, target)
    places = [guarded(made.inputs[0].numpy()), *map(guarded, kernel.pack(op.constants))]
    places.append(guarded(np.zeros(36, np.float32)))
    library[kernel.symbol](
        *[place.tensor(argument.size) for place, argument in zip(places, kernel.arguments, strict=True)]
    )
    assert relative_error(places[-1].values.reshape(4, 9), expected(made)[0]) < TOLERANCE


def test_what_cannot_be_linked_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"linking model\.so for aarch64 failed"):
        link_shared(base_target("aarch64"), ["absent.o"], tmp_path / "model.so")
    assert list(tmp_path.iterdir()) == []
