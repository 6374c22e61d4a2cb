"""Trained nets that several parts start from, kept on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.morphnet.tasks import Case, rate, task_of, trained
from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.graph.model import GraphModel
from hwaware.graph.store import load, save

DATA = {"resnet20": "fashion", "mobilenet_v2_small": "fashion", "lenet5": "mnist"}


def net(case: Case, seed: int, epochs: int, folder: Path) -> Task:
    """The task with its net trained for at least `epochs`; from `folder` where it lies there."""
    place = folder / f"{case.label}-{case.images}-{epochs}-{seed}"
    if not place.exists():
        model = trained(case, seed, epochs).model
        assert isinstance(model, GraphModel)
        save(model, place)
    return replace(task_of(case), model=load(place))


def trained_on(case: Case, seed: int, epochs: int, more: int, folder: Path) -> Task:
    """The same trained for `more` epochs, at the rate and with the orders of fine-tuning."""
    place = folder / f"{case.label}-{case.images}-{epochs}+{more}-{seed}"
    task = net(case, seed, epochs, folder)
    if not place.exists():
        assert isinstance(task.model, GraphModel)
        fit(task.model, task, epochs=more, lr=rate(case), seed=seed + 1)
        save(task.model, place)
    return replace(task, model=load(place))
