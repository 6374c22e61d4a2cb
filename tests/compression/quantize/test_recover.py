from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hwaware.compression.quantize.choices import Precision, everywhere
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.recover import LEAST, TOLERANCE, Quantised, Recovery, quantised
from hwaware.compression.task import training_loss
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from tests.compression.morphnets import EXAMPLE
from tests.compression.toys import trained


def uneven() -> GraphModel:
    """The same function with channels of very different ranges: what calibration alone is bad at."""
    graph = folded(capture_batched(trained().model, EXAMPLE))
    tensors = dict(graph.tensors)
    scale = torch.logspace(0, 5, len(tensors["first.0.weight"]))
    tensors["first.0.weight"] = tensors["first.0.weight"] * scale.reshape(-1, 1, 1, 1)
    tensors["first.0.bias"] = tensors["first.0.bias"] * scale
    tensors["second.0.weight"] = tensors["second.0.weight"] / scale.reshape(1, -1, 1, 1)
    return GraphModel(replace(graph, tensors=tensors), EXAMPLE).eval()


def made(model: GraphModel, precision: Precision, epochs: int) -> Quantised:
    choices = everywhere(folded(model.graph), precision)
    return quantised(model, trained(), choices, Recovery(epochs, 0.01))


def ops(graph: Graph) -> set[str]:
    return {node.op for node in graph.nodes}


def test_calibration_is_enough_for_eight_bits_here() -> None:
    model = GraphModel(capture_batched(trained().model, EXAMPLE), EXAMPLE).eval()
    found = made(model, "int8p", 5)
    assert found.how == "calibration"
    assert found.loss <= found.float_loss + max(TOLERANCE * found.float_loss, LEAST)
    assert found.float_loss == pytest.approx(training_loss(trained(), model), rel=1e-4)
    assert training_loss(trained(), found.model) == pytest.approx(found.loss, abs=1e-3)
    assert "hwaware.conv2d" in ops(found.model.graph)


def test_uneven_channels_are_made_even() -> None:
    found = made(uneven(), "int8p", 0)
    assert found.how == "equalised layers and corrected biases"
    assert found.loss <= found.float_loss + LEAST


def test_four_bits_are_rounded_or_trained_until_little_is_lost() -> None:
    model = GraphModel(capture_batched(trained().model, EXAMPLE), EXAMPLE).eval()
    calibrated = made(model, "weight4", 0)
    tuned = made(model, "weight4", 2)
    assert tuned.loss <= calibrated.loss
    assert "hwaware.decode_int4" in ops(tuned.model.graph)
    assert training_loss(trained(), tuned.model) == pytest.approx(tuned.loss, abs=1e-3)
