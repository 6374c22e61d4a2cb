"""What `hwaware doctor` says of a tool: where it is, or the command that installs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwaware.cli.doctor import _TOOLS, _nvcc, _tool


@pytest.mark.parametrize("row", _TOOLS, ids=[row[0] for row in _TOOLS])
def test_a_missing_tool_comes_with_its_command(
    row: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, needed_for, install = row
    monkeypatch.setenv("PATH", str(tmp_path))
    if name != "sshd":  # which is looked for in /usr/sbin too
        check = _tool(*row)
        assert (check.ok, check.needed_for, check.install) == (False, needed_for, install)
    (tmp_path / name).write_text("#!/bin/sh\n")
    (tmp_path / name).chmod(0o755)
    assert _tool(*row).found == str(tmp_path / name)


def test_phones_need_adb() -> None:
    assert ("adb", "Android phones", "apt-get install adb") in _TOOLS


def test_gpus_need_nvcc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    monkeypatch.setattr("hwaware.compiler.cuda.nvcc._USUAL", tmp_path / "absent")
    check = _nvcc()
    assert (check.name, check.ok) == ("nvcc", False)
    assert "install the CUDA toolkit" in check.install
    compiler = tmp_path / "bin" / "nvcc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.88'\n")
    compiler.chmod(0o755)
    assert _nvcc().found == f"{compiler}, CUDA 13.0"
