"""Trained reference nets: what a zoo task is compressed from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.zoo.recipes import recipe
from hwaware.zoo.tasks import zoo_task


def trained_zoo_task(
    name: str,
    data: str,
    *,
    seed: int = 0,
    on_epoch: Callable[[int, dict[str, float]], object] | None = None,
) -> Task:
    """The task of the net `name` on `data`, its model trained by the recipe from scratch.

    Raises ModelError for an unknown net, TaskError for unknown data.
    """
    task, how = zoo_task(name, data), recipe(name, data)
    model = copy.deepcopy(task.model)
    fit(model, task, epochs=how["epochs"], lr=how["lr"], seed=seed, on_epoch=on_epoch)
    return replace(task, model=model)
