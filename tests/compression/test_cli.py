from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hwaware.cli import main
from hwaware.compression.saved import load_result
from tests.compression.toys import table

TASK = "tests.compression.toys:trained"
QUICK = ("--epochs", 2, "--method", "morphnet")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["compress", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a cost table in it."""
    table().save(tmp_path / "costs")
    return tmp_path


def test_json_and_a_directory_come_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (TASK, "--table", folder / "costs", "--budget", "latency=60%,size=90%", "--epochs", 2)
    status, out, err = run(capsys, *words, "--out", folder / "small", "--json")
    assert (status, err) == (0, "")
    document: dict[str, Any] = json.loads(out)
    saved = load_result(folder / "small")
    assert document["plan"] == json.loads(json.dumps(saved.plan.document()))
    assert document["metric"] == {"before": saved.baseline_metric, "after": saved.metric}
    assert document["predicted"]["after"]["latency"] <= document["predicted"]["limits"]["latency"]


def test_the_summary_says_what_was_won(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (TASK, "--table", folder / "costs", "--budget", "latency=60%", *QUICK)
    status, out, _ = run(capsys, *words, "--out", folder / "small")
    assert status == 0
    plan = load_result(folder / "small").plan
    for expected in ("latency", "metric", "fc keeps its width", f"hwaware compile {folder / 'small'}"):
        assert expected in out
    for group in plan.groups:
        assert f"{group.before} → {group.after}" in out


def test_options_of_the_search_reach_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (TASK, "--table", folder / "costs", "--budget", "flops=70%", "--epochs", 2, "--method", "halp")
    status, out, _ = run(capsys, *words, "--exclude", "first*", "--values", "lasso", "--out", folder / "small")
    assert status == 0
    plan = load_result(folder / "small").plan
    assert plan.method == "halp"
    assert plan.fixed["first.0"] == "excluded by the pattern first*"
    assert "first.0 keeps its width: excluded by the pattern first*" in out
    assert "MFLOP" in out


def test_ctrl_c_keeps_what_is_trained_and_resume_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same model as without the interruption, and nothing of the way there is left."""
    words = (TASK, "--table", folder / "costs", "--budget", "latency=60%", *QUICK)
    assert run(capsys, *words, "--out", folder / "whole")[0] == 0

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("hwaware.compression.morphnet.cut", interrupt)
        status, _, err = run(capsys, *words, "--out", folder / "small")
    assert status == 1
    assert "--resume goes on" in err
    assert (folder / "small" / "checkpoints").is_dir()
    kept = {path.name: path.read_bytes() for path in (folder / "small" / "checkpoints" / "morphnet").iterdir()}
    status, _, err = run(capsys, *words, "--out", folder / "small")
    assert status == 1
    assert "add --resume to go on with it" in err
    assert kept == {path.name: path.read_bytes() for path in (folder / "small" / "checkpoints" / "morphnet").iterdir()}
    assert run(capsys, *words, "--out", folder / "small", "--resume")[0] == 0
    assert not (folder / "small" / "checkpoints").exists()
    one, other = (load_result(folder / name).model.state_dict() for name in ("whole", "small"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((TASK, "--budget", "latency=60%", "--exclude", "none*"), "matches no layer"),
        ((TASK, "--budget", "latency=60%", "--regulariser", "speed"), "regulariser 'speed'"),
        ((TASK, "--budget", "latency=60%", "--values", "gamma", "--exclude", "*"), "no channels to shrink"),
        (("zoo:resnet9@digits", "--budget", "latency=60%"), "the zoo has no model 'resnet9'"),
        (("zoo:resnet8", "--budget", "latency=60%"), "a task names its data too"),
        ((TASK, "--budget", "latency=abc"), "latency=abc"),
        ((TASK, "--budget", "latency=1%"), "cannot be reached"),
        ((TASK, "--budget", "latency=60%", "--table", "nowhere"), "nowhere"),
        ((TASK, "--budget", "latency=60%", "--out", "."), "choose another directory with --out"),
    ],
)
def test_bad_input_is_one_line_and_nothing_half_written(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.chdir(folder)
    # The last of a repeated option counts.
    status, out, err = run(capsys, "--table", "costs", "--out", "small", *QUICK, *words)
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert [path.name for path in folder.iterdir()] == ["costs"]


@pytest.mark.parametrize(
    "words",
    [
        ("--budget", "latency=60%"),  # neither device nor table
        ("--budget", "latency=60%", "--table", "a", "--device", "b"),
        ("--table", "a"),
        ("--budget", "latency=60%", "--table", "a", "--epochs", "1"),
        ("--budget", "latency=60%", "--table", "a", "--seed", "-1"),
        ("--budget", "latency=60%", "--table", "a", "--lr", "nan"),
        ("--budget", "latency=60%", "--table", "a", "--rounds", "0"),
        ("--budget", "latency=60%", "--table", "a", "--overshoot", "0"),
        ("--budget", "latency=60%", "--table", "a", "--grow", "0.5"),
        ("--budget", "latency=60%", "--table", "a", "--values", "magic"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(capsys, TASK, "--out", "small", *words)
    assert caught.value.code == 2
