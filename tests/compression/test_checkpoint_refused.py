from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.train import fit
from hwaware.errors import ArtifactError
from tests.compression.interruptions import Fader, interrupt, run
from tests.compression.test_train import task


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"epochs": 5}, "epochs is 4 there and 5 here"),
        ({"lr": 0.05}, "lr is 0.1 there and 0.05 here"),
        ({"seed": 3, "lr": 0.2}, "lr is 0.1 there and 0.2 here, seed is 0 there and 3 here"),
        ({"weight_decay": 0.0}, "weight decay is 0.0001 there and 0.0 here"),
        ({"optimizer": "adamw"}, 'optimizer is "sgd" there and "adamw" here'),
        ({"precision": "bfloat16"}, 'precision is "float32" there and "bfloat16" here'),
        ({"keep": []}, 'states is ["Fader"] there and [] here'),
    ],
)
def test_another_training_is_refused(tmp_path: Path, changes: dict[str, Any], difference: str) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "shrink")
    with pytest.raises(KeyboardInterrupt):
        run(task(), checkpoint, stop=interrupt(10))
    with pytest.raises(ArtifactError) as caught:
        run(task(), checkpoint, **changes)
    assert str(caught.value) == (
        f"{tmp_path}/c/shrink.json is a checkpoint of another training: {difference}; "
        f"delete {tmp_path}/c or choose another --out"
    )


def test_another_task_model_or_budget_is_refused(tmp_path: Path) -> None:
    run(task(), Checkpoint(tmp_path, "shrink", {"budget": 0.5}))
    with pytest.raises(ArtifactError, match='task is "circle" there and "ring" here'):
        run(task(name="ring"), Checkpoint(tmp_path, "shrink", {"budget": 0.5}))
    with pytest.raises(ArtifactError, match=r"budget is 0.5 there and 0.4 here, table is absent there and \"ab\" here"):
        run(task(), Checkpoint(tmp_path, "shrink", {"budget": 0.4, "table": "ab"}))
    wider = task().model
    wider[4] = nn.Linear(16, 3)
    before = copy.deepcopy(wider.state_dict())
    with pytest.raises(
        ArtifactError, match=r"tensor '4.weight' is float32 \[2, 16\] there, float32 \[3, 16\] here; del"
    ):
        fit(wider, task(), epochs=4, lr=0.1, keep=[Fader()], checkpoint=Checkpoint(tmp_path, "shrink", {"budget": 0.5}))
    assert all(torch.equal(before[name], value) for name, value in wider.state_dict().items())
    with pytest.raises(ArtifactError, match=r"tensor '1\.\w+' is .* there, absent here"):
        run(
            task(model=nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.1), nn.Identity(), nn.Linear(16, 2))),
            Checkpoint(tmp_path, "shrink", {"budget": 0.5}),
            extra_loss=None,
            after_step=None,
        )


def spoilt(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "shrink")
    with pytest.raises(KeyboardInterrupt):
        run(task(), checkpoint, stop=interrupt(10))
    path, weights = tmp_path / "shrink.json", tmp_path / "shrink.1.safetensors"
    text, blob = path.read_bytes(), weights.read_bytes()

    def refused(expected: str) -> None:
        with pytest.raises(ArtifactError, match=expected) as caught:
            run(task(), checkpoint)
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)
        path.write_bytes(text)
        weights.write_bytes(blob)

    path.write_bytes(text[:100])
    refused("not usable JSON")
    path.write_bytes(b"[]")
    refused("it holds no JSON object")
    for changes, expected in (
        ({"kind": "other"}, "its kind is not 'hwaware-checkpoint'"),
        ({"schema_version": 2}, "this hwaware reads schema version 1"),
        ({"training": 3}, "training must be an object"),
        ({"epoch": -1}, "epoch must be a whole number"),
        ({"epoch": 2}, "shrink.2.safetensors cannot be read"),
        ({"batches": "8"}, "batches must be a whole number"),
        ({"states": 1}, "states must be a list"),
        ({"states": []}, "it has 0 states of other objects, not 2"),
        ({"states": [{}, {"steps": 1}]}, r"the state of Fader makes no sense \('means'\)"),
        ({"states": [{}, {"means": [{"mean": {"$tensor": "no"}}]}]}, "its tensor 'no' is missing"),
        ({"sha256": "0" * 64}, "shrink.1.safetensors is not the file that it names"),
    ):
        spoilt(path, **changes)
        refused(expected)
    weights.write_bytes(blob[:-7])
    refused("is not the file that it names")
    weights.unlink()
    refused("cannot be read")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("optimizer/0/momentum_buffer", torch.zeros(3), r"optimizer/0/momentum_buffer is float32 \[3\]"),
        ("optimizer/99/momentum_buffer", torch.zeros(3), "is none of the optimiser's"),
        ("optimizer/x/exp_avg", torch.zeros(3), "is none of the optimiser's"),
        ("random/cpu", None, "no state of the random numbers"),
        ("random/cpu", torch.zeros(7, dtype=torch.uint8), "no state of the random numbers"),
        ("model/0.weight", None, r"tensor '0.weight' is absent there, float32 \[16, 2\] here"),
        ("model/0.weight", torch.zeros(16, 2, dtype=torch.int64), r"tensor '0.weight' is int64 \[16, 2\] there"),
        ("model/other", torch.zeros(1), r"tensor 'other' is float32 \[1\] there, absent here"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, name: str, value: Tensor | None, expected: str) -> None:
    checkpoint = Checkpoint(tmp_path, "shrink")
    with pytest.raises(KeyboardInterrupt):
        run(task(), checkpoint, stop=interrupt(10))
    weights = tmp_path / "shrink.1.safetensors"
    tensors = load_file(weights)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    save_file(tensors, weights)
    spoilt(tmp_path / "shrink.json", sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    with pytest.raises(ArtifactError, match=expected):
        run(task(), checkpoint)


def test_folders_and_names_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="choose another --out"):
        run(task(), Checkpoint(tmp_path / "file", "shrink"))
    for name in ("", "../up", "a.b", "-x", "ä"):
        with pytest.raises(ArtifactError, match="cannot name a checkpoint"):
            Checkpoint(tmp_path, name)
