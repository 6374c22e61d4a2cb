"""Connections are cut and spliced as the paper says, and the same again after an interruption."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.surgery.control import Cuts, Settings, target_of
from hwaware.compression.surgery.layers import layers
from hwaware.compression.surgery.magnitude import Magnitude
from hwaware.compression.surgery.masks import HIGH, LOW, MaskedLayer
from hwaware.compression.surgery.method import Course, for_times, operate
from hwaware.compression.surgery.surgeon import Surgeon
from hwaware.compression.task import Task
from hwaware.errors import ModelError, TaskError
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel

INPUTS, USED = 40, 5


def teacher() -> Task:
    """A linear function of 5 of 40 numbers; the model begins anywhere."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(256, INPUTS, generator=random)
    truth = torch.zeros(INPUTS)
    truth[::8] = torch.tensor([2.0, -1.5, 1.0, -2.5, 3.0])
    y = (x @ truth + 0.5).unsqueeze(1)
    batches = [(x[start : start + 32], y[start : start + 32]) for start in range(0, 256, 32)]
    torch.manual_seed(1)
    return Task(nn.Linear(INPUTS, 1), (x[:1],), batches, batches, nn.functional.mse_loss, lambda out, y: 0.0, name="t")


def loss(model: nn.Module, task: Task) -> float:
    with torch.no_grad():
        return float(torch.stack([nn.functional.mse_loss(model(x), y) for x, y in task.eval_data]).mean())


def never() -> Settings:
    return Settings({"": Cuts(-1e9, 0)})


def stepped(model: nn.Linear, surgeon: Surgeon, lr: float = 0.1) -> Tensor:
    """One step of plain gradient descent; the gradient of the weights it was made with."""
    x, y = (torch.cat(parts) for parts in zip(*teacher().train_data, strict=True))
    model.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()
    assert model.weight.grad is not None
    gradient = model.weight.grad.clone()
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.sub_(lr * parameter.grad)
    surgeon.after_step(model)
    return gradient


def cut_by_hand(surgeon: Surgeon, place: int) -> MaskedLayer:
    (masked,) = surgeon.masked
    masked.kept[0][0, place] = False
    masked.write()
    return masked


def test_a_cut_weight_is_trained_by_the_gradient_at_the_masked_weights() -> None:
    task = teacher()
    model = task.model
    assert isinstance(model, nn.Linear)
    surgeon = Surgeon(model, never())
    masked = cut_by_hand(surgeon, 3)
    before = masked.dense[0].clone()
    gradient = stepped(model, surgeon)
    assert gradient[0, 3] != 0
    torch.testing.assert_close(masked.dense[0], before - 0.1 * gradient)
    assert model.weight[0, 3] == 0


def test_a_needed_weight_that_was_cut_is_spliced_back() -> None:
    model = teacher().model
    assert isinstance(model, nn.Linear)
    surgeon = Surgeon(model, Settings({"": Cuts(0.5, 10**6)}), gamma=0)
    masked = cut_by_hand(surgeon, 0)
    masked.dense[0][0, 0] = 0
    for _ in range(60):
        stepped(model, surgeon)
    assert masked.kept[0][0, 0]
    assert abs(float(model.weight[0, 0].detach()) - 2.0) < 0.5
    assert surgeon.spliced[""] > 0


@pytest.mark.parametrize("kept", [True, False])
def test_between_the_thresholds_nothing_flips(kept: bool) -> None:
    layer = nn.Linear(64, 3, bias=False)
    masked = MaskedLayer(layers(layer)[0])
    masked.kept[0][:] = kept
    masked.dense[0] = torch.linspace(LOW, HIGH - 1e-6, 192).reshape(3, 64)
    assert masked.update(1.0, least=0).cut == 0
    assert bool((masked.kept[0] == kept).all())
    masked.dense[0][0, :2] = torch.tensor([LOW - 1e-6, HIGH])
    masked.update(1.0)
    assert masked.kept[0][0, :2].tolist() == [False, True]


def test_thresholds_are_of_the_weights_and_biases_that_are_not_0_at_the_beginning() -> None:
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]]))
        layer.bias.copy_(torch.tensor([-4.0, 0.0]))
    masked = MaskedLayer(layers(layer)[0])
    assert masked.mean == 2.5
    assert masked.deviation == pytest.approx(1.25**0.5)
    assert masked.threshold(2.0) == pytest.approx(2.5 + 2 * 1.25**0.5)
    assert masked.threshold(-100) == 0


def test_splicing_finds_connections_that_pruning_loses() -> None:
    """At first the weights that are needed are the smallest."""
    found = {}
    for splicing in (True, False):
        task = teacher()
        assert isinstance(task.model, nn.Linear)
        with torch.no_grad():
            task.model.weight[:] = 1.0
            task.model.weight[0, ::8] = 0.01
        course = Course(30, 0.01, gamma=0, splicing=splicing, least=1)
        (report,) = operate(task.model, task, Settings({"": Cuts(-1.0, 168)}), course)
        found[splicing] = loss(task.model, task)
        assert report.after < 12
        assert (report.spliced > 0) == splicing
    assert found[True] < 0.3  # the bias is small
    assert found[False] > 10


def test_masks_are_updated_as_often_as_the_probability_says() -> None:
    model = teacher().model
    surgeon = Surgeon(model, Settings({"": Cuts(-1e9, 10**6)}), gamma=0.01, power=1.0, seed=3)
    steps = 3000
    for _ in range(steps):
        surgeon.after_step(model)
    chances = [1 / (1 + 0.01 * t) for t in range(steps)]
    spread = sum(p * (1 - p) for p in chances) ** 0.5
    assert abs(surgeon.updates[""] - sum(chances)) < 4 * spread


def test_after_its_end_no_mask_changes_and_what_is_left_is_trained() -> None:
    model = teacher().model
    assert isinstance(model, nn.Linear)
    surgeon = Surgeon(model, Settings({"": Cuts(1.0, 20)}), gamma=0, least=1)
    for _ in range(20):
        stepped(model, surgeon)
    kept, weights = surgeon.masked[0].kept[0].clone(), model.weight.detach().clone()
    for _ in range(20):
        stepped(model, surgeon)
        assert torch.equal(surgeon.masked[0].kept[0], kept)
        assert bool((model.weight[~kept] == 0).all())
    assert not torch.equal(model.weight, weights)


def test_no_layer_goes_empty() -> None:
    model = teacher().model
    surgeon = Surgeon(model, Settings({"": Cuts(1e6, 10)}), gamma=0, least=7)
    surgeon.after_step(model)
    assert surgeon.reports()[0].after == 7


class Interrupted(Exception):
    pass


def test_an_interrupted_operation_ends_with_the_same_weights_and_the_same_statistics(tmp_path: Path) -> None:
    def run(checkpoint: Checkpoint | None, stop: int | None = None) -> tuple[nn.Module, Any]:
        task = teacher()
        course = Course(6, 0.05, seed=2, least=1)

        def on_epoch(epoch: int, _: dict[str, float]) -> None:
            if epoch == stop:
                raise Interrupted

        control = for_times(task.model, task, 4, course)
        return task.model, operate(task.model, task, control, course, checkpoint=checkpoint, on_epoch=on_epoch)

    whole, reports = run(None)
    checkpoint = Checkpoint(tmp_path, "surgery")
    with pytest.raises(Interrupted):
        run(checkpoint, stop=3)
    again, others = run(checkpoint)
    assert others == reports
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_target_is_met_over_all_layers_whatever_kind_of_module_they_are_in() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 10))
    x, y = torch.randn(32, 2, 6, 6), torch.randint(0, 10, (32,))
    batches = [(x[:16], y[:16]), (x[16:], y[16:])]
    graph = GraphModel(capture_batched(copy.deepcopy(body), (x[:1],)), (x[:1],))
    counts = []
    for model in (body, graph):
        task = Task(model, (x[:1],), batches, batches, nn.functional.cross_entropy, lambda out, y: 0.0)
        course = Course(8, 0.05, least=5)
        reports = operate(model, task, for_times(model, task, 8, course), course)
        kept = sum(int((parameter != 0).sum()) for parameter in model.parameters())
        assert kept <= sum(report.after for report in reports) <= 1084 / 8  # a weight may be 0 by chance
        assert sum(report.after for report in reports) > 1084 / 8 - 10
        assert all(report.after == report.weights + report.biases >= 5 for report in reports)
        counts.append([report.after for report in reports])
    assert counts[0] == counts[1]


def test_magnitude_pruning_has_rounds_that_end_at_its_count() -> None:
    task = teacher()
    reports = operate(task.model, task, Magnitude(10, (0, 8, 16)), Course(4, 0.05, gamma=0, splicing=False, least=1))
    assert reports[0].after == 10
    assert reports[0].spliced == 0


@pytest.mark.parametrize("times", [1.0, 0.5, 1e9])
def test_targets_that_cannot_be_had_are_refused(times: float) -> None:
    with pytest.raises(ModelError, match="times fewer parameters cannot be had"):
        target_of(1000, 900, times, 10)


def test_what_cannot_be_pruned_is_said() -> None:
    with pytest.raises(ModelError, match="no convolution or dense layer"):
        layers(nn.ReLU())
    broken = nn.Linear(2, 2)
    with torch.no_grad():
        broken.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match="not all finite"):
        layers(broken)
    task = teacher()
    endless = Task(task.model, task.example_inputs, _Endless(), task.eval_data, task.loss, task.metric, name="t")
    with pytest.raises(TaskError, match="no length"):
        for_times(task.model, endless, 4, Course(1, 0.1))


class _Endless:
    def __iter__(self) -> Any:
        return iter(())


@pytest.mark.parametrize("damage", ["another layer", "another model"])
def test_foreign_states_are_refused(damage: str) -> None:
    surgeon = Surgeon(nn.Linear(3, 2), never())
    other = Surgeon(nn.Linear(4, 2) if damage == "another layer" else nn.Sequential(nn.Linear(3, 2)), never())
    with pytest.raises(ValueError, match=damage):
        surgeon.restore(other.state())
