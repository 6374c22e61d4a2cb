from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hwaware.compression.distributed import Processes, joined
from hwaware.compression.randomness import OwnStream
from hwaware.compression.train import fit
from hwaware.errors import TaskError
from tests.compression.test_train import task
from tests.compression.together import EPOCHS, gradients, halves, sensitive, smooth

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Tensor]], list[dict[str, Any]], Path]:
    """Tensors and report of each of two processes, and the folder of their files."""
    folder = tmp_path_factory.mktemp("together")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "tests.compression.together", str(folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tensors = [load_file(folder / f"{rank}.safetensors") for rank in range(2)]
    return tensors, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)], folder


def test_all_processes_end_with_the_same_weights(ranks: Any) -> None:
    (first, second), _, _ = ranks
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_they_learn_and_the_main_one_reports(ranks: Any) -> None:
    _, (main, other), _ = ranks
    # 256 // 23 = 11 batches are five for each; the eleventh is left out.
    assert main["steps"] == other["steps"] == 5 * EPOCHS
    assert main["accuracy"] == other["accuracy"] > 90
    assert [len(main["facts"]), other["facts"]] == [EPOCHS, []]
    assert main["facts"][-1]["loss"] < 0.7 * main["facts"][0]["loss"]
    assert main["facts"][-1]["metric"] > 85


def test_the_gradient_is_that_of_the_whole_batch(ranks: Any) -> None:
    (found, _), _, _ = ranks
    whole = gradients(smooth(), [tuple(torch.cat(parts) for parts in zip(*halves(), strict=True))])
    # A parameter that is not used has none, and so no weight decay either.
    assert {f"gradient.{name}" for name in whole} == {name for name in found if name.startswith("gradient.")}
    assert "spare" not in whole
    for name, gradient in whole.items():
        assert torch.allclose(found[f"gradient.{name}"], gradient, rtol=0, atol=1e-6), name
        assert gradient.abs().max() > 1e-3


def test_constant_buffers_stay(ranks: Any) -> None:
    (found, _), _, _ = ranks
    assert torch.equal(found["constants.mask"], torch.tensor([float("-inf"), 0.1]))
    assert torch.equal(found["constants.flags"], torch.tensor([True, False]))


def test_an_interrupted_training_goes_on_in_all_processes(ranks: Any) -> None:
    (found, _), _, folder = ranks
    for name in (name.removeprefix("whole.") for name in found if name.startswith("whole.")):
        assert torch.equal(found[f"whole.{name}"], found[f"resumed.{name}"]), name
    assert sorted(path.name for path in (folder / "checkpoint").iterdir()) == ["tune.4.safetensors", "tune.json"]


def test_the_main_process_loop_of_the_users_own_counts(ranks: Any) -> None:
    (_, other), _, _ = ranks
    assert (other["own.0.weight"] == 1).all()


def test_sensitivities_are_shared_out_and_the_same(ranks: Any) -> None:
    (found, other), _, _ = ranks
    alone = sensitive()
    assert alone.max() > 0
    assert torch.allclose(found["lost.by layer"], alone, rtol=1e-6, atol=1e-9)
    assert torch.equal(found["lost.by layer"], other["lost.by layer"])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7, 9])
def test_shares_are_equally_many_and_apart(length: int) -> None:
    for count in (1, 2, 3):
        shares = [list(Processes(rank, count).share(range(length))) for rank in range(count)]
        assert {len(share) for share in shares} == {Processes(0, count).rounds(length)}
        assert sorted(number for share in shares for number in share) == list(range(length // count * count))


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for world in (None, "1"):
        if world is None:
            monkeypatch.delenv("WORLD_SIZE", raising=False)
        else:
            monkeypatch.setenv("WORLD_SIZE", world)
        with joined() as processes:
            assert processes == Processes(0, 1)
            assert processes.main
            assert not torch.distributed.is_initialized()
    assert processes.total([1.5, 2], torch.device("cpu")) == [1.5, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"WORLD_SIZE": "two"}, r"^WORLD_SIZE is 'two': start several processes with torchrun"),
        ({"WORLD_SIZE": "2"}, r"^RANK is not set: start several processes with torchrun, or one with WORLD_SIZE unset"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "^LOCAL_RANK is not set"),
        (
            {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"},
            r"^process 1 of 2 does not find the others \(.*MASTER_ADDR.*\): start with torchrun$",
        ),
    ],
)
def test_environments_that_torchrun_does_not_make(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], message: str
) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    circle = task()
    with pytest.raises(TaskError, match=message):
        fit(circle.model, circle, epochs=1, lr=0.1)


def test_an_own_stream_leaves_the_common_one() -> None:
    device = torch.device("cpu")
    one, other, again = OwnStream(1, device), OwnStream(2, device), OwnStream(1, device)
    torch.manual_seed(0)
    common = torch.rand(4)
    torch.manual_seed(0)
    drawn: list[Tensor] = []
    for index in range(4):
        for stream in (one, other, again):
            with stream.drawn():
                drawn.append(nn.functional.dropout(torch.ones(50)))
        assert torch.rand(1) == common[index]
    assert all(torch.equal(drawn[i], drawn[i + 2]) for i in range(0, 12, 3))
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[3])
