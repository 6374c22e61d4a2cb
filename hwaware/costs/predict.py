"""Predict a whole model from a cost table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwaware.costs.model import CostModel, Prediction
from hwaware.costs.table import CostTable

if TYPE_CHECKING:
    import torch
    from torch import nn


def predict(module: nn.Module, example_inputs: Sequence[torch.Tensor], table: CostTable | CostModel) -> Prediction:
    """Latency and memory of `module` in evaluation mode on the table's device, compiled by hwaware.

    Raises MissingCostError where the table cannot answer, ModelError for a model that cannot be compiled.
    """
    from hwaware.compiler.assemble import program_memory
    from hwaware.compiler.targets import restored_target
    from hwaware.graph.capture import capture
    from hwaware.graph.lower import lower

    costs = table if isinstance(table, CostModel) else CostModel(table)
    program = lower(capture(module, example_inputs))
    target = restored_target(costs.table.manifest.target)
    return costs.predict(program, program_memory(program, target, costs.table.choices))
