from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch

from hwaware.compiler.targets import base_target, restored_target
from hwaware.compression.budget import Budget
from hwaware.compression.compress import Result, compress
from hwaware.compression.saved import BASELINE, TABLE, check_destination, load_result, save_result, saved_chooser
from hwaware.errors import ArtifactError
from hwaware.graph.lower import lower
from hwaware.reference import load_model
from tests.compression.morphnets import EXAMPLE
from tests.compression.toys import table, trained


@functools.cache
def result() -> Result:
    return compress(trained(), table(), Budget(latency="60%"), epochs=2)


def test_round_trip_gives_identical_outputs(tmp_path: Path) -> None:
    save_result(result(), tmp_path / "small")
    saved = load_result(tmp_path / "small")
    x = torch.randn(5, *EXAMPLE[0].shape[1:])
    with torch.no_grad():
        assert torch.equal(saved.model(x), result().model(x))
        baseline = load_model(str(saved.baseline))
        assert torch.equal(baseline.module(x), result().baseline(x))
    assert saved.plan == result().plan
    assert (saved.metric, saved.baseline_metric) == (result().metric, result().baseline_metric)
    # What is compiled later has the shapes that the table was asked about.
    assert [value.shape for value in baseline.example_inputs] == [value.shape for value in EXAMPLE]
    assert [value.shape for value in saved.model.example_inputs] == [value.shape for value in EXAMPLE]


def test_it_is_readable_json_and_no_pickle(tmp_path: Path) -> None:
    save_result(result(), tmp_path / "small")
    files = sorted(str(path.relative_to(tmp_path / "small")) for path in (tmp_path / "small").rglob("*.*"))
    names = ["model.json", "weights.safetensors"]
    assert files == sorted([*names, *(f"{BASELINE}/{name}" for name in names)])
    extra = json.loads((tmp_path / "small" / "model.json").read_text())["extra"]
    assert extra["plan"]["budget"] == {"latency": "60%"}
    assert extra["cost"]["latency_ms"] == pytest.approx(extra["plan"]["after"]["latency"])


def test_an_earlier_result_is_replaced_and_its_table_stays(tmp_path: Path) -> None:
    out = tmp_path / "small"
    table().save(out / TABLE)
    for _ in range(2):
        save_result(result(), out)
        assert (out / TABLE / "cells.csv").is_file()
        assert load_result(out).plan == result().plan
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_foreign_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"notes\.txt"):
        save_result(result(), tmp_path)
    with pytest.raises(ArtifactError, match="is a file"):
        check_destination(tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    check_destination(tmp_path / "new")


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "small"
    table().save(out / TABLE)

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ArtifactError, match="No space left on device"):
        save_result(result(), out)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
    assert [path.name for path in out.iterdir()] == [TABLE]


def test_a_plan_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    save_result(result(), tmp_path / "small")
    file = tmp_path / "small" / "model.json"
    document = json.loads(file.read_text())
    document["extra"]["plan"]["groups"][0]["kept"] = [0, 0]
    file.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match="kept"):
        load_result(tmp_path / "small")


def test_what_is_compiled_from_it_has_the_schedules_of_its_costs(tmp_path: Path) -> None:
    made = result()
    save_result(made, tmp_path / "small")
    target = restored_target(table().manifest.target)
    program = lower(made.model.graph_for(EXAMPLE))
    for folder in (tmp_path / "small", tmp_path / "small" / BASELINE):
        chooser = saved_chooser(folder, target)
        assert chooser is not None
        assert all(chooser.of(op.workload) is not None for op in program.ops)
        assert saved_chooser(folder, base_target("aarch64")) is None, "measured for another processor"
    assert saved_chooser(tmp_path, target) is None


@pytest.mark.parametrize("text", ["direct(", 7, None])
def test_schedules_that_were_tampered_with_are_refused(tmp_path: Path, text: object) -> None:
    save_result(result(), tmp_path / "small")
    file = tmp_path / "small" / "model.json"
    document = json.loads(file.read_text())
    choices = document["extra"]["schedules"]["choices"]
    choices[next(iter(choices))] = text
    file.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=str(file)):
        saved_chooser(tmp_path / "small", base_target("x86_64"))
