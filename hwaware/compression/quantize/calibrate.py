"""Calibration: a float graph is shown some batches, and every value that may become levels gets its range."""

from __future__ import annotations

from hwaware.compression.quantize.affine import Affine
from hwaware.compression.quantize.choices import INTEGER, Choices, everywhere, settled
from hwaware.compression.quantize.observers import OBSERVERS, ObserverName, checked
from hwaware.compression.quantize.placement import placement
from hwaware.compression.quantize.samples import samples
from hwaware.compression.quantize.walk import Walk
from hwaware.compression.task import Task
from hwaware.errors import TaskError
from hwaware.graph.ir import Graph

BATCHES = 8


def calibrate(
    graph: Graph,
    task: Task,
    *,
    choices: Choices | None = None,
    batches: int = BATCHES,
    observer: ObserverName = "mse",
) -> dict[str, Affine]:
    """The levels of every value of `graph` that layers read in integers, from the task's training inputs.

    `graph` should have its BatchNorms folded; the task's model is not looked at, nor are its targets. Values that
    share their levels (the inputs and the output of a concatenation, what a pool reads and writes) are observed
    together and get the same. Without `choices` every layer that can is integer; these ranges serve all other
    choices, as fewer integer layers never need more values.

    Raises TaskError for data that is empty, has another shape than the model's inputs, or leads to NaN or infinity.
    """
    if observer not in OBSERVERS:
        raise TaskError(f"the observer {observer!r} is unknown; choose from {', '.join(OBSERVERS)}")
    precisions = settled(graph, everywhere(graph, "int8") if choices is None else choices).precisions
    place = placement(graph, lambda name: precisions.get(name) in INTEGER)
    watched = {name: OBSERVERS[observer]() for name in set(place.root.values())}
    for index, inputs in enumerate(samples(graph, task, batches)):
        where = f"{task.label}: calibration batch {index}"
        for name, value in zip(graph.inputs, inputs, strict=True):
            if value.is_floating_point():
                checked(value, name, where)
            if name in place.quantised:
                watched[place.root[name]].add(value)
        walk = Walk(graph, [inputs])
        for node in walk.nodes():
            if node.name in place.quantised:
                value = walk.values(node.name)[0]
                watched[place.root[node.name]].add(checked(value, node.name, where))
    found = {root: observed.levels() for root, observed in watched.items()}
    return {name: found[root] for name, root in place.root.items()}
