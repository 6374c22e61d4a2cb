"""A whole row, of a small net against PyTorch alone: what is measured is what was checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.ours import build
from benchmarks.peers.compare import Effort, compare, largest_error
from benchmarks.peers.lineup import convert
from benchmarks.peers.registry import PEERS
from benchmarks.peers.sources import write_source
from hwaware.devices.device import open_device
from hwaware.reference import LoadedModel


def test_a_row_is_measured_in_turn(tmp_path: Path, devices_home: Path) -> None:
    torch.manual_seed(2)
    module = nn.Sequential(nn.Conv2d(3, 7, 3), nn.ReLU(), nn.Flatten(), nn.Linear(7 * 36, 5)).eval()
    model = LoadedModel(module, (torch.randn(1, 3, 8, 8),), "net")
    peers = [replace(PEERS["PyTorch"], settings=("eager", "frozen")), PEERS["LiteRT"]]
    held = []

    @contextmanager
    def quiet() -> Iterator[None]:
        held.append(1)
        yield

    write_source(model.module, model.example_inputs, tmp_path)
    failed = {"LiteRT": "cannot convert: why", **convert(peers[:1], tmp_path)}
    with open_device("local") as device:
        ours = build(model, device, 1, tmp_path / "ours")
        row = compare(model, ours, peers, tmp_path, failed, {"PyTorch": 0.001}, Effort(3, 0.02, 5, quiet))
    assert len(held) == 3
    assert row.agrees
    assert 0 < row.ours_ms < 10
    assert row.ours_peak is not None
    torch_result, lite = row.peers
    assert row.best is torch_result
    assert torch_result.output_error is not None
    assert torch_result.output_error < 1e-5
    assert torch_result.times_faster is not None
    assert torch_result.times_faster.low <= torch_result.times_faster.value <= torch_result.times_faster.high
    assert torch_result.times_faster.value == pytest.approx((torch_result.ms or 0) / row.ours_ms)
    assert (lite.reason, lite.ms) == ("cannot convert: why", None)


def test_error_is_relative_to_the_largest_value_of_the_output() -> None:
    expected = [np.array([1.0, -100.0]), np.array([0.5])]
    assert largest_error([np.array([1.1, -100.0]), np.array([0.5])], expected) == pytest.approx(1e-3)
    assert largest_error([np.array([1.0, -100.0]), np.array([0.6])], expected) == pytest.approx(0.2)
    assert largest_error([np.array([1.0]), np.array([0.5])], expected) == float("inf")
