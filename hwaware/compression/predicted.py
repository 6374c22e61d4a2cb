"""What a table predicts for a model as it is: exact, with its memory plan."""

from __future__ import annotations

from hwaware.compiler.assemble import program_memory
from hwaware.compiler.targets import restored_target
from hwaware.compression.budget import Costs
from hwaware.compression.meters import flops
from hwaware.compression.quantize.choices import Choices
from hwaware.compression.quantize.structure import assigned
from hwaware.costs.model import CostModel
from hwaware.costs.prediction import Prediction
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel


def predicted(model: GraphModel, source: CostModel, choices: Choices | None = None) -> tuple[Prediction, Costs]:
    """The prediction for `model` at the shapes of its example inputs, and the costs a budget limits.

    With `choices` its layers are to have those precisions, which they have not yet. Raises MissingCostError where the
    table does not know an operation.
    """
    manifest = source.table.manifest
    graph = model.graph_for(model.example_inputs)
    program = lower(assigned(choices)(graph) if choices else graph)
    found = source.predict(program, program_memory(program, restored_target(manifest.target), source.table.choices))
    weights, arena = found.memory_bytes["weights"], found.memory_bytes["arena"]
    return found, Costs(found.latency_ms, weights + arena, weights, sum(flops(op.workload) for op in program.ops))
