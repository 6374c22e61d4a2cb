"""Training after trimming: what was removed stays removed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.nettrim.layer import LayerReport
from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.graph.arguments import ref
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel


def finetune(
    graph: Graph,
    reports: Iterable[LayerReport],
    task: Task,
    *,
    epochs: int,
    lr: float = 0.01,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> Graph:
    """`graph` trained with the zeros of the reported layers' weights kept; biases are free again.

    `checkpoint` and errors as of `fit`; one resumed ends with the same weights.
    """
    model = GraphModel(graph, task.example_inputs)
    nodes = {node.name: node for node in graph.nodes}
    names = [ref(nodes[report.layer], "weight") for report in reports]
    masks = {name: graph.tensors[name] != 0 for name in names}
    weights = dict(model.named_parameters())

    @torch.no_grad()
    def masked(_: nn.Module) -> None:
        for name, mask in masks.items():
            weights[name].mul_(mask)

    fit(model, task, epochs=epochs, lr=lr, seed=seed, after_step=masked, checkpoint=checkpoint)
    return model.graph
