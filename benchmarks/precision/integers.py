"""A model with every layer that can be in one precision, calibrated and nothing more, or with learned rounding."""

from __future__ import annotations

from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import Precision, everywhere
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.rewrite import quantized
from hwaware.compression.quantize.rounding import rounded
from hwaware.compression.task import Task
from hwaware.graph.model import GraphModel


def calibrated(model: GraphModel, task: Task, precision: Precision) -> GraphModel:
    """`model` in `precision`, ranges from the task's training inputs. Raises TaskError, ModelError."""
    plain = folded(model.graph)
    graph = quantized(plain, everywhere(plain, precision), calibrate(plain, task))
    return GraphModel(graph, model.example_inputs).eval()


def reconstructed(model: GraphModel, task: Task, precision: Precision) -> GraphModel:
    """The same with weights rounded as the layers' outputs ask for. Raises TaskError, ModelError."""
    plain = folded(model.graph)
    choices, ranges = everywhere(plain, precision), calibrate(plain, task)
    found = rounded(plain, task, choices, ranges)
    graph = quantized(found.graph, choices, ranges, scales=found.scales)
    return GraphModel(graph, model.example_inputs).eval()


def parameter_bytes(model: GraphModel) -> int:
    """Bytes of the weights and biases in float32, BatchNorms folded: what nothing was packed or padded for."""
    plain = folded(model.graph)
    return sum(4 * plain.tensors[name].numel() for name in plain.parameters)
