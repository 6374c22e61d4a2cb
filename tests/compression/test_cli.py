from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwaware.cli import main
from hwaware.compression.saved import load_result
from tests.compression.toys import table

TASK = "tests.compression.toys:trained"


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
    words = (TASK, "--table", folder / "costs", "--budget", "latency=60%", "--epochs", 2)
    status, out, _ = run(capsys, *words, "--out", folder / "small")
    assert status == 0
    plan = load_result(folder / "small").plan
    for expected in ("latency", "metric", "fc keeps its width", f"hwaware compile {folder / 'small'}"):
        assert expected in out
    for group in plan.groups:
        assert f"{group.before} → {group.after}" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
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
    status, out, err = run(capsys, "--table", "costs", "--out", "small", *words)
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
    ],
)
def test_wrong_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(capsys, TASK, "--out", "small", *words)
    assert caught.value.code == 2
