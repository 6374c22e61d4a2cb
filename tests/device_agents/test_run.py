"""`run`: the model's numbers are right, its files are whole, and its failures are one line."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.device_agents.building import agent_environment, parse_lines, run_agent
from tests.requirements import need_path

QUICK = ("--min-time-ms", "2", "--min-count", "5", "--max-count", "30")
WEIGHTS = np.arange(1, 13, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """x.npy, (4, 3) floats, and i.npy, 5 indices of its rows."""
    np.save(tmp_path / "x.npy", np.linspace(-2, 2, 12, dtype=np.float32).reshape(4, 3))
    np.save(tmp_path / "i.npy", np.array([3, 0, 1, 2, 3], dtype=np.int64))
    return tmp_path / "x.npy", tmp_path / "i.npy"


def expected(files: tuple[Path, Path]) -> np.ndarray:
    return (2 * (np.load(files[0]) + WEIGHTS))[np.load(files[1])]


def test_outputs_are_right_and_every_op_is_timed(agent: Path, files: tuple[Path, Path], tmp_path: Path) -> None:
    y = tmp_path / "y.npy"
    arguments = ("--input", files[0], "--input", files[1], "--output", y)
    answer = run_agent(agent, "run", *QUICK, *arguments, "--per-op")
    assert (answer.status, answer.stderr) == (0, "")
    np.testing.assert_array_equal(np.load(y), expected(files))
    assert [line["type"] for line in answer.lines] == ["run", "op", "op", "op", "done"]
    run = answer.one("run")
    assert run["model"] == "tiny"
    assert run["memory"]["weights"] == 64
    assert run["memory"]["arena"] == 256
    assert 5 <= len(run["samples_ns"]) <= 30
    ops = answer.lines[1:4]
    assert [(op["index"], op["name"], op["key"]) for op in ops] == [
        (0, "body.add", "add 4x3"),
        (1, "body.double", "double 4x3"),
        (2, "head.gather", "gather 4x3 5"),
    ]
    assert all(5 <= len(op["samples_ns"]) <= 30 for op in ops)


def test_without_files_inputs_are_made_up(agent: Path) -> None:
    answer = run_agent(agent, "run", *QUICK)
    assert (answer.status, [line["type"] for line in answer.lines]) == (0, ["run", "done"])


def test_two_threads_compute_the_same(agent: Path, files: tuple[Path, Path], tmp_path: Path) -> None:
    need_path(Path("/sys/devices/system/cpu/cpu1"), why="two cpus are needed")
    for threads in ("1", "2"):
        arguments = ("--input", files[0], "--input", files[1], "--output", tmp_path / f"{threads}.npy")
        assert run_agent(agent, "run", *QUICK, *arguments, "--threads", threads).status == 0
    np.testing.assert_array_equal(np.load(tmp_path / "1.npy"), np.load(tmp_path / "2.npy"))


def refusal(agent: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """The reason of the one error line."""
    answer = run_agent(agent, "run", *QUICK, *arguments, environment=environment)
    assert answer.status == 1
    assert len(answer.lines) == 1
    assert "Sanitizer" not in answer.stderr
    return str(answer.one("error")["reason"])


def test_a_crash_names_its_op(agent: Path) -> None:
    reason = refusal(agent, environment={"HWA_TEST_CRASH": "1"})
    assert reason == "signal SIGSEGV (segmentation fault) in op 1 'body.double'"


def test_a_kernel_error_names_its_op(agent: Path, files: tuple[Path, Path]) -> None:
    np.save(files[1], np.array([0, 1, 2, 3, 4], dtype=np.int64))
    reason = refusal(agent, "--input", files[0], "--input", files[1])
    assert reason == "kernel error in op 2 'head.gather': IndexError: row out of range"


def test_the_number_of_files_must_be_that_of_the_model(agent: Path, files: tuple[Path, Path]) -> None:
    assert refusal(agent, "--input", files[0]) == "the model has 2 inputs, --input was given 1 times"
    assert refusal(agent, "--output", "a", "--output", "b") == "the model has 1 outputs, --output was given 2 times"


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((4, 3)), "type <f8, but the model wants <f4"),
        (np.zeros((4, 3), ">f4"), "type >f4, but the model wants <f4"),
        (np.zeros((3, 4), np.float32), "shape (3, 4), but the model wants (4, 3)"),
        (np.zeros((12,), np.float32), "shape (12), but the model wants (4, 3)"),
        (np.zeros((), np.float32), "shape (), but the model wants (4, 3)"),
        (np.zeros((4, 3, 1), np.float32), "shape (4, 3, 1), but"),
        (np.asfortranarray(np.zeros((4, 3), np.float32)), "Fortran order"),
        (np.zeros((4, 3), [("a", "<f4")]), "the header is damaged"),
    ],
)
def test_arrays_of_another_form_are_refused(
    agent: Path, files: tuple[Path, Path], array: np.ndarray, complaint: str
) -> None:
    np.save(files[0], array)
    assert complaint in refusal(agent, "--input", files[0], "--input", files[1])


@pytest.mark.parametrize(
    ("keep", "complaint"),
    [
        (0, "not a .npy file"),
        (7, "not a .npy file"),
        (9, "cut short"),
        (60, "cut short"),
        (128, "0 bytes of data instead of 48"),
        (175, "47 bytes of data instead of 48"),
    ],
)
def test_truncated_files_are_refused(agent: Path, files: tuple[Path, Path], keep: int, complaint: str) -> None:
    files[0].write_bytes(files[0].read_bytes()[:keep])
    assert complaint in refusal(agent, "--input", files[0], "--input", files[1])


def test_other_things_than_files_are_refused(agent: Path, files: tuple[Path, Path], tmp_path: Path) -> None:
    assert "No such file" in refusal(agent, "--input", tmp_path / "absent", "--input", files[1])
    assert "not a regular file" in refusal(agent, "--input", tmp_path, "--input", files[1])
    assert "not a regular file" in refusal(agent, "--input", "/dev/zero", "--input", files[1])


def test_the_second_version_of_the_format_is_read(agent: Path, files: tuple[Path, Path], tmp_path: Path) -> None:
    array = np.load(files[0])
    with files[0].open("wb") as file:
        np.lib.format.write_array(file, array, version=(2, 0))
    y = tmp_path / "y.npy"
    assert run_agent(agent, "run", *QUICK, "--input", files[0], "--input", files[1], "--output", y).status == 0
    np.testing.assert_array_equal(np.load(y), expected(files))


def test_an_output_that_cannot_be_written_leaves_nothing(agent: Path, tmp_path: Path) -> None:
    assert "No such file or directory" in refusal(agent, "--output", tmp_path / "absent" / "y.npy")
    old = tmp_path / "y.npy"
    old.write_bytes(b"kept")
    done = subprocess.run(
        [str(agent), "run", *QUICK, "--output", str(old)],
        capture_output=True,
        check=False,
        env=agent_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert done.returncode == 1
    assert parse_lines(done.stdout) == [{"type": "error", "reason": f"{old}: File too large"}]
    assert [path.name for path in tmp_path.iterdir()] == ["y.npy"]
    assert old.read_bytes() == b"kept"
