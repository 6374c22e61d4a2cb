from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.quantize import sensitivity
from hwaware.compression.quantize.affine import Ranges
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import Precision
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.sensitivity import Losses, sensitivities
from hwaware.compression.quantize.simulate import simulated
from hwaware.compression.task import Task, training_loss
from hwaware.errors import ArtifactError, TaskError
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from tests.compression.morphnets import EXAMPLE
from tests.compression.toys import trained

KINDS: tuple[Precision, ...] = ("float32", "int8p", "weight4")


@functools.cache
def plain() -> tuple[Graph, Ranges, dict[str, tuple[Precision, ...]]]:
    graph = folded(capture_batched(trained().model, EXAMPLE))
    layers = [node.name for node in graph.nodes if node.op in ("conv2d.default", "linear.default")]
    return graph, calibrate(graph, trained()), dict.fromkeys(layers, KINDS)


def task_of(batches: list[Any]) -> Task:
    made = trained()
    return Task(made.model, made.example_inputs, batches, made.eval_data, made.loss, made.metric)


@functools.cache
def found() -> Losses:
    graph, ranges, options = plain()
    return sensitivities(graph, trained(), options, ranges, batches=2)


def test_it_is_the_rise_of_the_loss_with_one_layer_quantised() -> None:
    graph, ranges, options = plain()
    two = task_of([batch for batch, _ in zip(trained().train_data, range(2), strict=False)])
    before = training_loss(two, GraphModel(graph, EXAMPLE))
    for layer in list(options)[:2]:
        for precision in KINDS[1:]:
            after = training_loss(two, GraphModel(simulated(graph, {layer: precision}, ranges), EXAMPLE))
            assert found()[layer][precision] == pytest.approx(max(0.0, after - before), abs=1e-6)


def test_every_choice_has_one_and_float32_none() -> None:
    assert {layer: set(each) for layer, each in found().items()} == {layer: set(KINDS[1:]) for layer in plain()[2]}
    assert all(loss >= 0 for each in found().values() for loss in each.values())


def test_outputs_say_it_without_labels() -> None:
    """Four bits move the outputs further than eight."""
    graph, ranges, options = plain()
    blind = task_of([(x, None) for x, _ in trained().train_data])
    moved = sensitivities(graph, blind, options, ranges, by="outputs", batches=2)
    assert sum(each["weight4"] for each in moved.values()) > sum(each["int8p"] for each in moved.values()) > 0


def test_what_was_measured_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, ranges, options = plain()
    checkpoint = Checkpoint(tmp_path, "sensitivity")
    simulations = 0

    def counted(*arguments: Any) -> Graph:
        nonlocal simulations
        simulations += 1
        if simulations == 4:
            raise KeyboardInterrupt
        return simulated(*arguments)

    monkeypatch.setattr(sensitivity, "simulated", counted)
    with pytest.raises(KeyboardInterrupt):
        sensitivities(graph, trained(), options, ranges, batches=2, checkpoint=checkpoint)
    again = sensitivities(graph, trained(), options, ranges, batches=2, checkpoint=checkpoint)
    assert again == found()
    assert simulations == 4 + 2 * len(options) - 3
    assert sensitivities(graph, trained(), options, ranges, batches=2, checkpoint=checkpoint) == found()
    assert simulations == 4 + 2 * len(options) - 3


def test_what_others_left_is_refused(tmp_path: Path) -> None:
    graph, ranges, options = plain()
    checkpoint = Checkpoint(tmp_path, "sensitivity")
    sensitivities(graph, trained(), options, ranges, batches=1, checkpoint=checkpoint)
    with pytest.raises(ArtifactError, match="batches is 1 there and 2 here"):
        sensitivities(graph, trained(), options, ranges, batches=2, checkpoint=checkpoint)
    text = checkpoint.path.read_text()
    checkpoint.path.write_text(text.replace('"states": [', '"states": ["no", ', 1))
    with pytest.raises(ArtifactError, match="not numbers"):
        sensitivities(graph, trained(), options, ranges, batches=1, checkpoint=checkpoint)


class Nothing:
    def __iter__(self) -> Iterator[Any]:
        return iter(())


@pytest.mark.parametrize("data", [[], [(torch.full((4, 3, 8, 8), torch.nan), torch.zeros(4, dtype=torch.int64))]])
def test_data_that_says_nothing_is_refused(data: list[Any]) -> None:
    graph, ranges, options = plain()
    with pytest.raises(TaskError):
        sensitivities(graph, task_of(data), options, ranges)
