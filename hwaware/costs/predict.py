"""Predict a whole model from a cost table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hwaware.costs.memory import MemoryModel
from hwaware.costs.model import CostModel
from hwaware.costs.prediction import Prediction
from hwaware.costs.table import CostTable

if TYPE_CHECKING:
    import torch
    from torch import nn


def predict(module: nn.Module, example_inputs: Sequence[torch.Tensor], table: CostTable | CostModel) -> Prediction:
    """Latency and memory of `module` in evaluation mode on the table's device, compiled by hwaware.

    Its ``memory_bytes`` are weights and arena, exact, and the peak of resident bytes, `peak_rss`, where models were run
    for the table. Raises MissingCostError where the table cannot answer, ModelError for a model that cannot be
    compiled.
    """
    from hwaware.compiler.assemble import program_memory
    from hwaware.compiler.targets import restored_target
    from hwaware.graph.capture import capture
    from hwaware.graph.lower import lower

    costs = table if isinstance(table, CostModel) else CostModel(table)
    program = lower(capture(module, example_inputs))
    target = restored_target(costs.table.manifest.target)
    return with_peak(costs.predict(program, program_memory(program, target, costs.table.choices)), costs.table)


def with_peak(prediction: Prediction, table: CostTable) -> Prediction:
    """The prediction with the peak memory, where the table knows how to tell it."""
    if table.manifest.memory is None:
        return prediction
    sizes = prediction.memory_bytes
    peak = MemoryModel.load(table.manifest.memory).peak(sizes["weights"], sizes["arena"], len(prediction.ops))
    return replace(prediction, memory_bytes={**sizes, "peak_rss": peak})
