from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from hwaware.compression.task import Task, check, check_weights, evaluate
from hwaware.errors import HwawareError, ModelError, TaskError


def mse(output: Tensor, target: Tensor) -> Tensor:
    return ((output - target) ** 2).mean()


def mean_output(output: Tensor, target: Tensor) -> float:
    return output.mean().item()


def batches(*sizes: int) -> list[tuple[Tensor, Tensor]]:
    """Batches of the given sizes; each input is filled with its own batch size."""
    return [(torch.full((size, 2), float(size)), torch.zeros(size, 2)) for size in sizes]


def task(**changes: Any) -> Task:
    fields = {
        "model": nn.Linear(2, 2),
        "example_inputs": (torch.randn(1, 2),),
        "train_data": batches(4),
        "eval_data": batches(4),
        "loss": mse,
        "metric": mean_output,
    }
    return Task(**{**fields, **changes})


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_the_metric_is_weighted_by_batch_size(sizes: list[int]) -> None:
    value = evaluate(task(eval_data=batches(*sizes)), nn.Identity())
    assert value == pytest.approx(sum(size * size for size in sizes) / sum(sizes))


def test_models_with_several_inputs_and_a_dataloader() -> None:
    class Sum(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a + b

    two = [((torch.ones(3, 2), torch.full((3, 2), 4.0)), torch.zeros(3, 2))]
    assert evaluate(task(eval_data=two), Sum()) == 5.0
    loader = DataLoader(TensorDataset(torch.ones(5, 2), torch.zeros(5, 2)), batch_size=2)
    assert evaluate(task(eval_data=loader), nn.Identity()) == 1.0


def test_evaluation_is_in_eval_mode_without_gradients_and_restores_each_mode() -> None:
    class Probe(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert not self.training
            assert not torch.is_grad_enabled()
            return x

    model = nn.Sequential(Probe(), nn.BatchNorm1d(2), nn.Dropout(0.9)).train()
    model[1].eval()  # a BatchNorm that its owner has frozen
    evaluate(task(), model)
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert torch.equal(model[1].running_mean, torch.zeros(2))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_outputs_that_are_not_finite_are_an_error_that_names_the_task(bad: float) -> None:
    class Bad(nn.Module):
        def forward(self, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
            return {"out": (x, x * bad)}

    with pytest.raises(TaskError, match=r"task lamp: evaluation batch 0: the model's output holds NaN"):
        evaluate(task(name="lamp"), Bad())


def test_what_user_code_raises_is_one_line_with_its_source() -> None:
    with pytest.raises(TaskError, match=r"evaluation batch 0: the model raised RuntimeError: mat1 and mat2"):
        evaluate(task(), nn.Linear(3, 1))

    def broken(output: Tensor, target: Tensor) -> float:
        raise KeyError("first\nsecond")

    with pytest.raises(TaskError, match=r"evaluation batch 0: the metric raised KeyError: ") as caught:
        evaluate(task(metric=broken), nn.Identity())
    assert "\n" not in str(caught.value)

    def ours(output: Tensor, target: Tensor) -> float:
        raise ModelError("as it is")

    with pytest.raises(ModelError, match=r"^as it is$"):
        evaluate(task(metric=ours), nn.Identity())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model", object(), "the task: model must be a torch.nn.Module, not object"),
        ("example_inputs", torch.ones(1), "example_inputs must be a non-empty tuple of tensors, not Tensor"),
        ("example_inputs", (), "example_inputs must be a non-empty tuple"),
        ("train_data", 3, "train_data must be an iterable of .* not int"),
        ("eval_data", iter([]), "eval_data must be iterable more than once: a list or a DataLoader"),
        ("loss", "mse", "loss must be a callable of .* not str"),
        ("metric", None, "metric must be a callable of .* not NoneType"),
        ("fit", 7, "fit must be a callable of .* not int"),
    ],
)
def test_fields_of_the_wrong_kind(field: str, value: object, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        task(**{field: value})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("train_data", [], "train_data is empty"),
        ("eval_data", [], "eval_data is empty"),
        ("train_data", [torch.ones(2, 2)], r"train_data must hold \(input, target\) batches.* a Tensor"),
        ("eval_data", [(1, 2)], "it holds a tuple of int, int"),
        ("eval_data", [(torch.tensor(1.0), 2)], "it holds a tuple of Tensor, int"),
    ],
)
def test_check_looks_into_the_data(field: str, value: list[object], message: str) -> None:
    check(task())
    with pytest.raises(TaskError, match=message):
        check(task(**{field: value}))


def test_evaluating_on_nothing_is_an_error() -> None:
    with pytest.raises(TaskError, match=r"eval_data is empty"):
        evaluate(task(eval_data=[]), nn.Identity())


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_named(bad: float) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    check_weights(model)
    with torch.no_grad():
        model[0].weight[1] = bad
    with pytest.raises(ModelError, match=r"0.weight holds 2 values of 4 that are NaN or infinite"):
        check(task(model=model))


def test_a_mask_may_be_infinite_but_running_statistics_not_nan() -> None:
    model = nn.BatchNorm1d(2)
    model.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    check_weights(model)
    model.running_var[0] = float("nan")
    with pytest.raises(HwawareError, match=r"running_var holds 1 values of 2"):
        check_weights(model)
