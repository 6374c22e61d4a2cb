"""Classification tasks of a reference net on one of the known data sets."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from hwaware.compression.task import Task
from hwaware.zoo import data as datasets
from hwaware.zoo.batches import Batches
from hwaware.zoo.recipes import recipe
from hwaware.zoo.registry import build, find

TRAIN_SEED = 0
EVAL_BATCH = 500


def zoo_task(name: str, data: str) -> Task:
    """Task of the untrained net `name`, built for the shape and classes of the data spec `data`.

    Loss: cross entropy. Metric: accuracy on the test images, a fraction. Train it with `recipe(name, data)`.
    Raises ModelError for an unknown net, TaskError for data that is unknown or broken.
    """
    dataset = datasets.load(data, find(name).min_size)
    module, example_inputs = build(name, dataset.shape, dataset.classes)
    how = recipe(name, data)
    return Task(
        model=module,
        example_inputs=example_inputs,
        train_data=Batches(dataset.train_x, dataset.train_y, how["batch"], seed=TRAIN_SEED, shift=how["shift"]),
        eval_data=Batches(dataset.test_x, dataset.test_y, EVAL_BATCH),
        loss=functional.cross_entropy,
        metric=accuracy,
        name=f"{name}@{dataset.name}",
    )


def accuracy(output: Tensor, target: Tensor) -> float:
    """Fraction of the rows of `output` (N, classes) whose largest entry is at `target` (N,)."""
    return (output.argmax(dim=1) == target).float().mean().item()
