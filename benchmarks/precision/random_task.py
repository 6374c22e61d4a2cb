"""A whole zoo model with random weights, as a task of agreeing with itself on random images."""

from __future__ import annotations

import torch
from torch import nn

from hwaware.compression.task import Task
from hwaware.zoo.batches import Batches
from hwaware.zoo.registry import build
from hwaware.zoo.tasks import accuracy

IMAGES, BATCH = 16, 4


def random_task(name: str) -> Task:
    """The net `name`; labels are its own answers, so that its metric is 1 and that of a copy top-1 agreement.

    BatchNorms have the statistics of the images: without, activations would grow from layer to layer as those of no
    trained net do, and quantisation errors with them.
    """
    module, inputs = build(name)
    random = torch.Generator().manual_seed(1)
    images, others = (torch.randn(IMAGES, *inputs[0].shape[1:], generator=random) for _ in range(2))
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0
        module.train()(images)
        module.eval()
        labels, other_labels = (module(each).argmax(1) for each in (images, others))
    return Task(
        model=module,
        example_inputs=inputs,
        train_data=Batches(images, labels, BATCH),
        eval_data=Batches(others, other_labels, BATCH),
        loss=nn.functional.cross_entropy,
        metric=accuracy,
        name=name,
    )
