"""Predict a whole model from a cost table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwaware.costs.model import CostModel, Prediction
from hwaware.costs.table import CostTable

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hwaware.compiler.targets import Target


def predict(module: nn.Module, example_inputs: Sequence[torch.Tensor], table: CostTable | CostModel) -> Prediction:
    """Latency and memory of `module` in evaluation mode on the table's device, compiled by hwaware.

    Raises MissingCostError where the table cannot answer, ModelError for a model that cannot be compiled.
    """
    from hwaware.compiler.artifact import program_memory
    from hwaware.graph.capture import capture
    from hwaware.graph.lower import lower

    costs = table if isinstance(table, CostModel) else CostModel(table)
    program = lower(capture(module, example_inputs))
    return costs.predict(program, program_memory(program, table_target(costs.table)))


def table_target(table: CostTable) -> Target:
    """The code generation target the table was measured with, from the device's facts in it."""
    from hwaware.compiler.targets import target_for
    from hwaware.devices.facts import DeviceFacts

    facts = DeviceFacts.from_dict(table.manifest.facts, f"the cost table of {table.manifest.device}")
    caches = {cache.level: cache.bytes for cache in facts.caches if cache.type != "Instruction"}
    return target_for(facts.arch, frozenset(facts.features), caches)
