from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.errors import ArtifactError, TaskError
from tests.compression.interruptions import EPOCHS, assert_same, interrupt, run
from tests.compression.test_train import own_loop, task


def loader() -> DataLoader[Any]:
    data = task().train_data
    own = torch.Generator().manual_seed(5)
    return DataLoader(TensorDataset(data.x, data.y), 64, shuffle=True, generator=own)


def plain_loader() -> DataLoader[Any]:
    """Its order comes from torch's random numbers."""
    data = task().train_data
    return DataLoader(TensorDataset(data.x, data.y), 64, shuffle=True)


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.1), ("adamw", 0.02)])
@pytest.mark.parametrize("data", [None, loader, plain_loader])
def test_goes_on_to_the_same_weights_to_the_bit(tmp_path: Path, optimizer: str, lr: float, data: Any) -> None:
    def circle() -> Task:
        return task() if data is None else task(train_data=data())

    batches = len(circle().train_data)
    whole = run(circle(), optimizer=optimizer, lr=lr)
    checkpoint = Checkpoint(tmp_path / "run", "shrink")
    # Within the first epoch, the second, just before the end of the third, and in the last.
    for at in (2, batches + 1, 3 * batches, 3 * batches + 1, 4 * batches - 1):
        with pytest.raises(KeyboardInterrupt):
            run(circle(), checkpoint, optimizer=optimizer, lr=lr, stop=interrupt(at))
    epochs: list[int] = []
    resumed = run(circle(), checkpoint, optimizer=optimizer, lr=lr, on_epoch=lambda epoch, _: epochs.append(epoch))
    assert epochs == [3]
    assert_same(resumed, whole)
    assert not resumed[0].training


def test_an_interruption_in_on_epoch_repeats_that_epoch(tmp_path: Path) -> None:
    def stop(epoch: int, facts: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    whole, checkpoint, epochs = run(task()), Checkpoint(tmp_path, "tune"), list[int]()
    with pytest.raises(KeyboardInterrupt):
        run(task(), checkpoint, on_epoch=stop)
    assert_same(run(task(), checkpoint, on_epoch=lambda epoch, _: epochs.append(epoch)), whole)
    assert epochs == [1, 2, 3]


def test_bfloat16_and_data_without_a_length_go_on(tmp_path: Path) -> None:
    class Stream:
        def __iter__(self) -> Any:
            return iter(list(task().eval_data))

    streamed = task(train_data=Stream())
    whole = run(streamed, precision="bfloat16")
    checkpoint = Checkpoint(tmp_path, "shrink")
    with pytest.raises(KeyboardInterrupt):
        run(streamed, checkpoint, precision="bfloat16", stop=interrupt(5))
    assert_same(run(streamed, checkpoint, precision="bfloat16"), whole)


def test_a_finished_training_is_restored_at_once(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "shrink")
    whole = run(task(), checkpoint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shrink.4.safetensors", "shrink.json"]

    def never(*arguments: object) -> None:
        raise AssertionError("nothing is left to train")

    before = torch.get_rng_state()
    again = run(task(), checkpoint, stop=never, on_epoch=never)
    assert_same(again, whole)
    assert not again[0].training
    assert torch.equal(torch.get_rng_state(), before)


def test_several_phases_share_a_folder(tmp_path: Path) -> None:
    first, second = Checkpoint(tmp_path, "shrink"), Checkpoint(tmp_path, "fine-tune")
    run(task(), first)
    run(task(), second, seed=1)
    assert_same(run(task(), first), run(task()))
    assert_same(run(task(), second, seed=1), run(task(), seed=1))


def test_a_crash_between_the_files_loses_an_epoch_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path, "shrink")
    with pytest.raises(KeyboardInterrupt):
        run(task(), checkpoint, stop=interrupt(20))
    with monkeypatch.context() as patch:
        patch.setattr("hwaware.compression.checkpoint.write_text_atomic", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(task(), checkpoint)
    assert len(list(tmp_path.iterdir())) == 3
    assert_same(run(task(), checkpoint), run(task()))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_users_own_loop_is_stored_when_it_is_over(tmp_path: Path) -> None:
    calls = 0

    def own(module: nn.Module, extra_loss: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("no such disk")
        own_loop(module, extra_loss)

    checkpoint = Checkpoint(tmp_path, "shrink")
    circle = task(fit=own)
    with pytest.raises(TaskError, match="no such disk"):
        run(circle, checkpoint)
    assert list(tmp_path.iterdir()) == []
    trained = run(circle, checkpoint)
    assert_same(run(circle, checkpoint), trained)
    assert calls == 2
    with pytest.raises(ArtifactError, match='optimizer is "the task\'s own fit" there'):
        run(task(), checkpoint)


@pytest.mark.gpu
def test_float16_on_a_gpu_goes_on_with_its_scale(tmp_path: Path) -> None:
    def gpu() -> Task:
        return task(model=task().model.cuda())

    def trained(checkpoint: Checkpoint | None, stop: int = 0) -> dict[str, Tensor]:
        circle, steps = gpu(), 0

        def after_step(module: nn.Module) -> None:
            nonlocal steps
            steps += 1
            if steps == stop:
                raise KeyboardInterrupt

        arguments: dict[str, Any] = {"epochs": EPOCHS, "lr": 0.1, "precision": "float16", "after_step": after_step}
        fit(circle.model, circle, checkpoint=checkpoint, **arguments)
        return circle.model.state_dict()

    whole, checkpoint = trained(None), Checkpoint(tmp_path, "tune")
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint, stop=12)
    again = trained(checkpoint)
    assert all(torch.equal(whole[name], value) for name, value in again.items())
