"""d and k of every layer for what a user asks of the whole network: its bytes, or how much accuracy it may lose."""

from __future__ import annotations

from hwaware.compression.codebook.calibration import BATCHES, calibration
from hwaware.compression.codebook.candidates import candidates
from hwaware.compression.codebook.choose import for_accuracy, for_bytes, forms_of
from hwaware.compression.codebook.coded import Form
from hwaware.compression.codebook.layers import found
from hwaware.compression.codebook.layerwise import Coding
from hwaware.compression.codebook.report import size_of
from hwaware.compression.task import Task, evaluate
from hwaware.errors import BudgetError
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

QUICK = Coding(steps=8, rounds=1)  # enough to tell forms from each other


def forms_for_bytes(
    graph: Graph, task: Task, most: float, *, batches: int = BATCHES, how: Coding = QUICK
) -> dict[str, Form]:
    """The forms with the least measured error for which `graph` weighs at most `most` bytes, by `size_of`'s count.

    Raises BudgetError, naming the least it can weigh; ModelError and TaskError as coding does.
    """
    options = candidates(graph, calibration(graph, task, batches), how=how)
    rest = size_of(graph, []).dense - 4.0 * sum(layer.weights for layer in found(graph).layers)
    least = rest + sum(listed[0].bytes for listed in options.values())
    if most < least:
        raise BudgetError(f"codebooks cannot make the model {most:.0f} bytes small; ask for at least {least:.0f}")
    return forms_of(for_bytes(options, most - rest))


def forms_for_accuracy(
    graph: Graph, task: Task, most_lost: float, *, batches: int = BATCHES, how: Coding = QUICK
) -> dict[str, Form]:
    """The smallest forms found that lose at most `most_lost` of the task's metric, on its evaluation data.

    Measured before any tuning, which then gains some of it back. Raises what `forms_for_bytes` does.
    """

    def reached(made: Graph) -> float:
        return evaluate(task, GraphModel(made, task.example_inputs))

    options = candidates(graph, calibration(graph, task, batches), how=how)
    return forms_of(for_accuracy(graph, options, reached, reached(graph) - most_lost))
