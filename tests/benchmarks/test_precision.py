"""The parts of the precision benchmark that run: random nets, precisions, sizes, workers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.precision.draw import KINDS, drawn, kind_of
from benchmarks.precision.int8_peers import INT8_PEERS
from benchmarks.precision.integers import calibrated, parameter_bytes, reconstructed
from benchmarks.precision.lineup import Int8Client
from benchmarks.precision.random_task import random_task
from benchmarks.precision.sizes import PRECISIONS, model_rows
from hwaware.compression.task import Task, evaluate
from hwaware.devices.device import open_device
from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import channel_groups
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel


def captured(task: Task) -> GraphModel:
    return GraphModel(capture_batched(task.model, task.example_inputs), task.example_inputs).eval()


@pytest.mark.parametrize("seed", range(2 * len(KINDS)))
def test_drawn_nets_lower_in_floats_and_in_integers(seed: int) -> None:
    task = drawn(seed)
    whole = captured(task)
    assert channel_groups(whole.graph)  # there is something to shrink
    assert lower(whole.graph_for(whole.example_inputs)).ops
    model = calibrated(whole, task, "int8p")
    assert lower(model.graph_for(model.example_inputs)).ops
    assert torch.isfinite(model(task.example_inputs[0])).all()
    assert (kind_of(seed) == "residual") <= any("add" in node.op for node in whole.graph.nodes)


def test_a_seed_is_a_net() -> None:
    one, two, other = (captured(drawn(seed)).state_dict() for seed in (3, 3, 7))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert [value.shape for value in one.values()] != [value.shape for value in other.values()]


def test_rounding_that_is_learned_is_closer_and_the_labels_are_the_models_own() -> None:
    task = random_task("lenet5")
    assert evaluate(task, task.model) == 1.0
    whole = captured(task)
    x = task.example_inputs[0].repeat(4, 1, 1, 1) + 0.1 * torch.randn(4, 1, 28, 28)
    with torch.no_grad():
        expected = whole(x)
        int8, int4 = ((calibrated(whole, task, each)(x) - expected).norm() for each in ("int8", "weight4"))
    assert int8 < int4
    assert reconstructed(drawn_model := captured(drawn(0)), drawn(0), "weight4").example_inputs
    assert parameter_bytes(drawn_model) > 0


def test_sizes_are_those_of_artifacts(devices_home: Path) -> None:
    task = drawn(0)
    with open_device("local") as device:
        rows = model_rows(task, device)
    assert [row["precision"] for row in rows] == list(PRECISIONS)
    plain = next(row for row in rows if row["precision"] == "float32")
    for row in rows:
        assert row["manifest"] == row["resident"]
        assert row["parameters"] == plain["parameters"]
    assert all(row["file"] < plain["file"] for row in rows if row is not plain)


def test_the_worker_knows_the_quantised_peers() -> None:
    for name in list(INT8_PEERS)[:1]:
        with Int8Client(name, 1) as client:
            assert client.memory()[1] > 0
