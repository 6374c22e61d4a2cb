"""The nets and data of the benchmark: real images, of which a run may take fewer for training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.morphnet.fashion import fashion_folder
from hwaware.compression.scratch import fresh
from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel
from hwaware.zoo.batches import Batches
from hwaware.zoo.recipes import recipe
from hwaware.zoo.tasks import zoo_task

NETS = ("resnet20", "mobilenet_v2_small")
DATA = ("digits", "mnist", "fashion")


@dataclass(frozen=True)
class Case:
    """A net on data: `images` of the training images, all where 0; `folder` has MNIST, `cache` takes Fashion-MNIST."""

    net: str
    data: str
    images: int
    folder: Path
    cache: Path

    @property
    def label(self) -> str:
        """For file names."""
        return f"{self.net}@{self.data}"

    @property
    def table_label(self) -> str:
        """Of the cost table: MNIST and Fashion-MNIST are images of one size, so that one table serves both."""
        return f"{self.net}@{'digits' if self.data == 'digits' else '28x28'}"

    def spec(self) -> str:
        """The data as `hwaware` calls it."""
        if self.data == "fashion":
            return f"idx:{fashion_folder(self.cache / 'fashion-mnist')}"
        return self.data if self.data == "digits" else f"mnist:{self.folder}"


def task_of(case: Case) -> Task:
    """The untrained task."""
    task = zoo_task(case.net, case.spec())
    train = task.train_data
    assert isinstance(train, Batches)
    if case.images and case.images < len(train.x):
        few = Batches(train.x[: case.images], train.y[: case.images], train.batch, seed=train.seed, shift=train.shift)
        task = replace(task, train_data=few)
    return replace(task, name=case.label)


def trained(case: Case, seed: int, epochs: int = 0) -> Task:
    """The task with a net trained from the initialisation `seed`, for at least `epochs`."""
    task = task_of(case)
    how = recipe(case.net, _kind(case))
    model = GraphModel(fresh(capture_batched(task.model, task.example_inputs), seed), task.example_inputs)
    fit(model, task, epochs=max(epochs, how["epochs"]), lr=how["lr"], seed=seed)
    return replace(task, model=model)


def rate(case: Case) -> float:
    """The learning rate for more training."""
    return recipe(case.net, _kind(case))["lr"] / 2


def _kind(case: Case) -> str:
    return "digits" if case.data == "digits" else "idx"
