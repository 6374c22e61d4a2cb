from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hwaware.compression.optimiser import learning_rate
from hwaware.compression.task import ExtraLoss, Task, evaluate
from hwaware.compression.train import fit
from hwaware.errors import TaskError
from hwaware.zoo.batches import Batches


def accuracy(output: Tensor, target: Tensor) -> float:
    return 100.0 * (output.argmax(1) == target).float().mean().item()


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))


def task(**changes: Any) -> Task:
    """Is a point inside the unit circle?"""
    random = torch.Generator().manual_seed(1)
    x = torch.randn(256, 2, generator=random) * 1.2
    y = (x.norm(dim=1) < 1).long()
    fields = {
        "model": model(),
        "example_inputs": (x[:1],),
        "train_data": Batches(x, y, 32, seed=0),
        "eval_data": Batches(x, y, 100),
        "loss": nn.functional.cross_entropy,
        "metric": accuracy,
        "name": "circle",
    }
    return Task(**{**fields, **changes})


def weights(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.1), ("adamw", 0.02)])
def test_learns(optimizer: Any, lr: float) -> None:
    circle = task()
    epochs: list[tuple[int, dict[str, float]]] = []
    fit(
        circle.model,
        circle,
        epochs=25,
        lr=lr,
        optimizer=optimizer,
        on_epoch=lambda epoch, facts: epochs.append((epoch, facts)),
    )
    assert evaluate(circle, circle.model) > 95
    assert [epoch for epoch, _ in epochs] == list(range(25))
    assert epochs[-1][1]["loss"] < 0.5 * epochs[0][1]["loss"]
    assert epochs[-1][1]["lr"] < 0.01 * lr
    assert not circle.model.training


def test_reports_the_metric_on_what_was_learned_from() -> None:
    seen: list[tuple[float, int]] = []

    def metric(output: Tensor, target: Tensor) -> float:
        assert not output.requires_grad
        seen.append((accuracy(output, target), len(target)))
        return seen[-1][0]

    facts: list[float] = []
    uneven = task(metric=metric, train_data=Batches(task().train_data.x, task().train_data.y, 100))
    fit(uneven.model, uneven, epochs=2, lr=0.1, on_epoch=lambda _, found: facts.append(found["metric"]))
    assert [size for _, size in seen] == [100, 100, 56] * 2
    for epoch, reported in enumerate(facts):
        of_epoch = seen[3 * epoch : 3 * epoch + 3]
        assert reported == pytest.approx(sum(value * size for value, size in of_epoch) / 256)
    # Nobody listens: it is not computed.
    fit(uneven.model, uneven, epochs=1, lr=0.1)
    assert len(seen) == 6


def test_a_metric_that_raises_is_blamed() -> None:
    broken = task(metric=lambda output, target: output.no_such_thing())
    with pytest.raises(TaskError, match="task circle: training, epoch 0, batch 0: the metric raised AttributeError"):
        fit(broken.model, broken, epochs=1, lr=0.1, on_epoch=lambda epoch, facts: None)


def test_is_a_function_of_the_seed_and_leaves_the_random_state() -> None:
    circle = task()
    results = []
    for seed in (3, 3, 4):
        trained = copy.deepcopy(circle.model)
        torch.manual_seed(99 + len(results))
        before = torch.get_rng_state()
        fit(trained, circle, epochs=2, lr=0.1, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        results.append(weights(trained))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_the_extra_loss_shrinks_what_it_weighs() -> None:
    circle = task()

    def sparsity(module: nn.Module) -> Tensor:
        assert isinstance(module, nn.Sequential)
        return 0.1 * module[1].weight.abs().sum()

    plain, shrunk = copy.deepcopy(circle.model), copy.deepcopy(circle.model)
    fit(plain, circle, epochs=10, lr=0.1)
    fit(shrunk, circle, epochs=10, lr=0.1, extra_loss=sparsity)
    assert shrunk[1].weight.abs().mean() < 0.5 * plain[1].weight.abs().mean()


def test_after_step_follows_every_step() -> None:
    circle = task()
    calls = 0

    def mask(module: nn.Module) -> None:
        nonlocal calls
        calls += 1
        assert isinstance(module, nn.Sequential)
        with torch.no_grad():
            module[0].weight[3:] = 0

    fit(circle.model, circle, epochs=3, lr=0.1, after_step=mask)
    assert calls == 3 * len(circle.train_data)
    assert not circle.model[0].weight[3:].any()
    assert circle.model[0].weight[:3].all()


def test_weight_decay_leaves_vectors_alone() -> None:
    still = task(loss=lambda output, target: 0.0 * output.sum())
    before = {name: p.detach().clone() for name, p in still.model.named_parameters()}
    fit(still.model, still, epochs=1, lr=0.1, weight_decay=0.5)
    for name, values in still.model.named_parameters():
        assert torch.equal(values, before[name]) == (values.ndim == 1), name


def test_frozen_parameters_stay() -> None:
    circle = task()
    circle.model[0].requires_grad_(False)
    before = circle.model[0].weight.clone()
    fit(circle.model, circle, epochs=1, lr=0.1)
    assert torch.equal(circle.model[0].weight, before)
    circle.model.requires_grad_(False)
    with pytest.raises(TaskError, match="task circle: the model has no parameter to train"):
        fit(circle.model, circle, epochs=1, lr=0.1)


def test_data_without_a_length_follows_nearly_the_same_schedule() -> None:
    circle = task()

    class Stream:
        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            return iter(list(circle.train_data))

    rates: list[float] = []
    stream = task(train_data=Stream())
    fit(stream.model, stream, epochs=25, lr=0.1, on_epoch=lambda _, facts: rates.append(facts["lr"]))
    assert evaluate(stream, stream.model) > 95
    assert rates[-1] < 0.001


@given(progress=st.floats(0, 1), peak=st.floats(1e-6, 10))
def test_learning_rate_stays_between_nothing_and_its_peak(progress: float, peak: float) -> None:
    rate = learning_rate(progress, peak)
    assert 0 <= rate <= peak * (1 + 1e-9)
    if progress >= 0.1:
        assert learning_rate(min(1.0, progress + 0.01), peak) <= rate
    assert learning_rate(0.1, peak) == pytest.approx(peak)
    assert learning_rate(1, peak) == pytest.approx(0, abs=1e-9)


def test_a_loss_that_diverges_names_the_place_and_the_remedy() -> None:
    circle = task(loss=lambda output, target: (output**2).mean() * 1e6)
    place = r"task circle: training, epoch \d+, batch \d+"
    with pytest.raises(TaskError, match=rf"{place}: the loss became (nan|inf); lower the learning rate"):
        fit(circle.model, circle, epochs=20, lr=1e4)
    fine = task()
    with pytest.raises(TaskError, match="the extra loss term became nan; lower its strength"):
        fit(fine.model, fine, epochs=1, lr=0.1, extra_loss=lambda _: torch.tensor(float("nan")))


def test_what_the_users_loss_raises_and_empty_data() -> None:
    broken = task(loss=lambda output, target: output.no_such_thing())
    with pytest.raises(TaskError, match="epoch 0, batch 0: the model or the loss raised AttributeError"):
        fit(broken.model, broken, epochs=1, lr=0.1)
    empty = task(train_data=[])
    with pytest.raises(TaskError, match="task circle: train_data is empty"):
        fit(empty.model, empty, epochs=1, lr=0.1)


def own_loop(module: nn.Module, extra_loss: ExtraLoss) -> None:
    stepper = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(20):
        for x, y in task().train_data:
            stepper.zero_grad()
            (nn.functional.cross_entropy(module(x), y) + extra_loss(module)).backward()
            stepper.step()


def test_a_users_own_loop_gets_the_extra_loss_and_the_steps() -> None:
    circle = task(fit=own_loop)
    fit(circle.model, circle, epochs=1, lr=0.1)
    assert evaluate(circle, circle.model) > 95

    calls = 0

    def after_step(module: nn.Module) -> None:
        nonlocal calls
        calls += 1

    def huge_weights_cost(module: nn.Module) -> Tensor:
        return 10 * sum((p**2).sum() for p in module.parameters())

    before = weights(circle.model).norm()
    fit(circle.model, circle, epochs=1, lr=0.1, extra_loss=huge_weights_cost, after_step=after_step)
    assert weights(circle.model).norm() < 0.1 * before
    assert calls == 20 * 8
    # The hook is gone: another optimiser's steps are not counted.
    own_loop(model(), lambda module: torch.zeros(()))
    assert calls == 20 * 8


def test_a_users_own_loop_that_fails() -> None:
    def raises(module: nn.Module, extra_loss: ExtraLoss) -> None:
        raise OSError("no such disk")

    def diverges(module: nn.Module, extra_loss: ExtraLoss) -> None:
        with torch.no_grad():
            next(module.parameters())[0] = float("nan")

    for own, message in (
        (raises, "its own fit raised OSError: no such disk"),
        (diverges, "diverged: 0.weight"),
    ):
        circle = task(fit=own)
        with pytest.raises(TaskError, match=f"task circle: .*{message}"):
            fit(circle.model, circle, epochs=1, lr=0.1)
