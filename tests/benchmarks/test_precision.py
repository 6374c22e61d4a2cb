"""The parts of the precision benchmark that run: random nets, precisions, sizes, workers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.precision.draw import KINDS, drawn, kind_of
from benchmarks.precision.int8_peers import INT8_PEERS
from benchmarks.precision.integers import calibrated, parameter_bytes
from benchmarks.precision.lineup import Int8Client
from benchmarks.precision.random_task import random_task
from benchmarks.precision.sizes import model_rows
from hwaware.compression.quantize.structure import uniform
from hwaware.compression.task import Task, evaluate
from hwaware.devices.device import open_device
from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import channel_groups
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from hwaware.zoo.tasks import accuracy


def captured(task: Task) -> GraphModel:
    return GraphModel(capture_batched(task.model, task.example_inputs), task.example_inputs).eval()


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_drawn_nets_lower_in_floats_and_in_integers(seed: int) -> None:
    task = drawn(seed)
    whole = captured(task)
    assert channel_groups(whole.graph)  # there is something to shrink
    graph = whole.graph_for(whole.example_inputs)
    assert lower(graph).ops
    assert any(":u8->" in op.workload.key for op in lower(uniform(graph, "int8p")).ops)
    assert (kind_of(seed) == "residual") <= any("add" in node.op for node in whole.graph.nodes)


def test_a_seed_is_a_net() -> None:
    one, two, other = (drawn(seed).model.state_dict() for seed in (3, 3, 7))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert [value.shape for value in one.values()] != [value.shape for value in other.values()]


def test_integers_are_near_and_four_bits_further_away() -> None:
    task = drawn(0)
    whole = captured(task)
    x = task.example_inputs[0]
    with torch.no_grad():
        expected = whole(x)
        int8, int4 = ((calibrated(whole, task, each)(x) - expected).norm() for each in ("int8", "weight4"))
    assert 0 < int8 < int4 < expected.norm()


def test_the_labels_of_random_images_are_the_models_own() -> None:
    task = random_task("lenet5")
    assert evaluate(task, task.model) == 1.0


def test_sizes_are_those_of_artifacts(devices_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.precision.sizes.PRECISIONS", ("float32", "weight4"))
    net = nn.Sequential(nn.Flatten(), nn.Linear(300, 70))
    data = [(torch.randn(4, 3, 10, 10), torch.zeros(4, dtype=torch.long))]
    task = Task(net.eval(), (data[0][0][:1],), data, data, nn.functional.cross_entropy, accuracy)
    with open_device("local") as device:
        rows = model_rows(task, device)
    plain, small = rows
    assert small["file"] < plain["file"]
    assert small["parameters"] == plain["parameters"] == parameter_bytes(captured(task))
    assert all(row["manifest"] == row["resident"] for row in rows)


def test_the_worker_knows_the_quantised_peers() -> None:
    with Int8Client(next(iter(INT8_PEERS)), 1) as client:
        assert client.memory()[1] > 0
