from __future__ import annotations

import os

import pytest

from hwaware.compression.quiet import quiet


def test_only_lines_of_the_solvers_debugging_are_kept_off_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        os.write(1, b"one\nHighsMipSolverData::transformNewIntegerFeasibleSolution tmpSolver.run();\ntwo\n")
    print("three", flush=True)
    assert capfd.readouterr().out == "one\ntwo\nthree\n"


def test_what_was_written_before_an_error_appears(capfd: pytest.CaptureFixture[str]) -> None:
    def failing() -> None:
        with quiet():
            os.write(1, b"one\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert capfd.readouterr().out == "one\n"
