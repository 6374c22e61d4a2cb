"""``libmodel.a`` and ``model.h`` in an app that knows nothing of hwaware."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from hwaware.compiler.artifact import build_artifact
from hwaware.compiler.targets import base_target
from tests.compiler.families import case
from tests.compiler.inprocess import TOLERANCE, expected, relative_error
from tests.requirements import need

APP = Path(__file__).with_name("app.c")


@pytest.mark.parametrize("name", ["inverted", "unet", "encoder"])
def test_an_app_runs_the_model(name: str, tmp_path: Path) -> None:
    made = case(name, 1)
    folder = build_artifact(made.module, made.inputs, base_target("x86_64"), tmp_path / "out", name=name).path
    app = tmp_path / "app"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", str(folder)]
    command = [need("cc", package="gcc"), *flags, str(APP), str(folder / "libmodel.a"), "-o", str(app)]
    subprocess.run(command, check=True, timeout=60)
    done = subprocess.run(
        [str(app)], input=made.inputs[0].numpy().tobytes(), capture_output=True, timeout=60, check=True
    )
    wanted = expected(made)[0]
    assert relative_error(np.frombuffer(done.stdout, np.float32).reshape(wanted.shape), wanted) < TOLERANCE
    assert undefined(folder / "libmodel.a") <= {"memset"}


def undefined(archive: Path) -> set[str]:
    """Symbols no member of the archive defines."""
    listed = subprocess.run(
        [need("nm", package="binutils"), str(archive)], capture_output=True, text=True, timeout=60, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines() if line and not line.endswith(":")]
    defined = {row[-1] for row in rows if len(row) == 3}
    return {row[-1] for row in rows if row[0] in "Uw" and len(row) == 2} - defined
