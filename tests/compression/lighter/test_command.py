"""The three methods at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.cli.lighter import LIGHTER_METHODS
from hwaware.compression.lighter.method import METHODS
from hwaware.graph.store import ENCODED

TASK = "tests/compression/lighter/test_lighten.py:dense"


def test_the_command_line_knows_all_of_them() -> None:
    assert LIGHTER_METHODS == METHODS


def test_a_task_becomes_a_small_model_that_says_what_became_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "small"
    words = ["compress", TASK, "--method", "surgery", "--times", "6", "--epochs", "3", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "fewer parameters" in said
    assert f"next: hwaware compile {out}" in said
    assert (out / ENCODED).exists()
    # Over the earlier one, and in JSON.
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["goal"] == {"times": 6.0, "loss": None}
    assert told["size"]["parameters_x"] >= 6
    assert [layer["name"] for layer in told["layers"]] == ["linear", "linear_1", "linear_2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "surgery"], "surgery needs --times N or --max-loss X"),
        (["--method", "surgery", "--times", "2", "--max-loss", "1"], "not allowed with argument"),
        (["--method", "nettrim", "--times", "3", "--table", "t"], "asks no device: leave --table out"),
        (["--method", "codebook", "--times", "3", "--budget", "size=3%"], "leave --budget out"),
        (["--method", "codebook", "--times", "3", "--exclude", "stem*"], "--exclude is for other methods"),
        (["--times", "3"], "are for surgery, nettrim, codebook; joint has --budget"),
        (["--table", "t"], "joint needs a budget"),
        (["--budget", "latency=50%"], "give --device NAME or --table DIR"),
    ],
)
def test_what_does_not_go_together(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["compress", "zoo:lenet5@digits", *words, "--out", str(tmp_path / "out")])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--times", "0.5"], "write a number above 1"), (["--max-loss", "nan"], "write a number from 0")],
)
def test_goals_that_cannot_be_meant_are_refused_before_anything_is_trained(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["compress", "zoo:lenet5@digits", "--method", "codebook", *words, "--out", str(out)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not out.exists()
