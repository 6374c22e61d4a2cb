"""Fine-tuning with quantisation in the loop: the simulated network is trained, its scales are not.

Jacob et al. 2018 (arXiv:1712.05877, section 3); with distillation from the float network where there are no labels,
or where its answers say more than they do (Hinton et al. 2015, arXiv:1503.02531; Mishra and Marr 2018,
arXiv:1711.05852).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import Tensor, nn

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.optimiser import OptimizerName
from hwaware.compression.quantize.affine import Ranges
from hwaware.compression.quantize.choices import Choices, settled
from hwaware.compression.quantize.scales import Recovered, weight_scales
from hwaware.compression.quantize.simulate import simulated, trained_graph
from hwaware.compression.quantize.taught import Distance, LossName, divergence, taught
from hwaware.compression.quantize.weights import GROUP
from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel


def finetuned(
    graph: Graph,
    task: Task,
    choices: Choices,
    ranges: Ranges,
    *,
    epochs: int,
    lr: float,
    loss: LossName = "task",
    teacher: nn.Module | None = None,
    distance: Distance = divergence,
    scales: Mapping[str, Tensor] | None = None,
    group: int = GROUP,
    seed: int = 0,
    optimizer: OptimizerName = "sgd",
    weight_decay: float = 0.0,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[int, dict[str, float]], object] | None = None,
) -> Recovered:
    """`graph` trained for `epochs` as it will be once quantised, and the scales of its weights.

    `choices`, `ranges`, `scales` and `group` are those it will be quantised with. `loss` is the task's, the distance
    from the `teacher`'s outputs, or their sum; the teacher defaults to `graph` as it is. BatchNorms that are folded
    stay so. The rest is as in `hwaware.compression.train.fit`, which trains and raises; a task with a fit of its own
    is trained by that unless there is a teacher.
    """
    found = {**weight_scales(graph, settled(graph, choices).precisions, ranges, group), **(scales or {})}
    student = GraphModel(simulated(graph, choices, ranges, scales=found, group=group), task.example_inputs)
    task = replace(task, model=student)
    task = taught(task, teacher or GraphModel(graph, task.example_inputs).eval(), loss, distance)
    fit(
        student,
        task,
        epochs=epochs,
        lr=lr,
        seed=seed,
        optimizer=optimizer,
        weight_decay=weight_decay,
        checkpoint=checkpoint,
        on_epoch=on_epoch,
    )
    return Recovered(trained_graph(graph, student.graph), found)
