from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hwaware.compression.task import check, evaluate
from hwaware.compression.train import fit
from hwaware.errors import ModelError, TaskError
from hwaware.zoo import NETS, recipe
from hwaware.zoo.tasks import accuracy, zoo_task
from tests.zoo.idx_files import write_dataset


@pytest.mark.parametrize("name", NETS)
def test_every_net_takes_the_embedded_data(name: str) -> None:
    task = zoo_task(name, "digits")
    check(task)
    assert task.name == f"{name}@digits"
    size = task.example_inputs[0].shape[-1]
    assert size == max(8, NETS[name].min_size)
    inputs, target = next(iter(task.train_data))
    assert task.model(inputs[:2]).shape == (2, 10)
    assert torch.isfinite(task.loss(task.model(inputs[:2]), target[:2]))


def test_idx_data_sets_shape_and_classes(tmp_path: Path) -> None:
    task = zoo_task("lenet300", f"idx:{write_dataset(tmp_path)}")
    assert task.example_inputs[0].shape == (1, 1, 9, 9)
    fit(task.model, task, epochs=60, lr=0.05)
    assert evaluate(task, task.model) == 1.0


def test_accuracy_is_a_fraction() -> None:
    output = torch.tensor([[2.0, 1.0], [0.0, 5.0], [1.0, 0.0], [3.0, 2.0]])
    assert accuracy(output, torch.tensor([0, 1, 1, 0])) == 0.75


def test_a_quarter_of_the_recipe_already_trains_resnet8_on_digits() -> None:
    task = zoo_task("resnet8", "digits")
    how = recipe("resnet8", "digits")
    assert evaluate(task, task.model) < 0.4
    fit(task.model, task, epochs=how["epochs"] // 4 + 1, lr=how["lr"])
    assert evaluate(task, task.model) > 0.96


def test_recipes_are_fresh_and_for_known_nets_only() -> None:
    changed = recipe("lenet5", "digits")
    changed["epochs"] = 10_000
    assert recipe("lenet5", "digits")["epochs"] < 100
    assert recipe("resnet18", "mnist:/data")["epochs"] >= 1
    with pytest.raises(ModelError, match="no model 'lenet6'"):
        recipe("lenet6", "digits")


def test_unknown_net_and_data() -> None:
    with pytest.raises(ModelError, match="no model 'alexnet'"):
        zoo_task("alexnet", "digits")
    with pytest.raises(TaskError, match="unknown data 'imagenet'"):
        zoo_task("lenet5", "imagenet")
