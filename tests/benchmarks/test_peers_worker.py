"""A worker converts, loads, checks and samples; it is still while others are measured and ends with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.peers.client import Client, PeerError
from benchmarks.peers.sources import read_source, write_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_source(net(), (torch.randn(1, 3, 9, 7),), tmp_path)
    return tmp_path


@pytest.fixture
def client() -> Iterator[Client]:
    with Client("PyTorch", 1) as made:
        yield made


def net() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU()).eval()


def test_the_source_is_the_module(folder: Path) -> None:
    module, inputs = read_source(folder)
    x = torch.randn(1, 3, 9, 7)
    assert inputs[0].shape == x.shape
    torch.testing.assert_close(module(x), net()(x))


def test_a_peer_runs_the_model(folder: Path, client: Client) -> None:
    client.convert(folder)
    before = client.load(folder, "eager")
    x = torch.randn(1, 3, 9, 7)
    (output,) = client.check([x.numpy()], 1, folder)
    np.testing.assert_allclose(output, net()(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    samples = client.sample(0.05, 7)
    assert len(samples) >= 7
    assert all(value > 0 for value in samples)
    peak_load, peak_run = client.memory()
    assert before > 10e6
    assert min(peak_load, peak_run) >= before


def test_a_paused_worker_uses_no_processor(folder: Path, client: Client) -> None:
    client.load(folder, "eager")
    client.check([np.ones((1, 3, 9, 7), np.float32)], 1, folder)
    client.pause()
    time.sleep(0.05)
    used = processor_ticks(client.pid)
    time.sleep(0.3)
    assert processor_ticks(client.pid) == used
    assert client.sample(0.01, 1)  # and goes on when asked


def test_what_a_runtime_says_is_one_line(folder: Path, client: Client, tmp_path: Path) -> None:
    with pytest.raises(PeerError, match=r"^RuntimeError: nothing is loaded$"):
        client.sample(0.01, 1)
    with pytest.raises(PeerError, match=r"model\.pt2") as caught:
        client.load(tmp_path / "absent", "eager")
    assert "\n" not in str(caught.value)


def test_a_worker_that_dies_is_an_error(client: Client) -> None:
    os.kill(client.pid, 9)
    with pytest.raises(PeerError, match=r"its process ended with status -9 at 'memory'"):
        client.memory()


def test_a_paused_worker_ends_with_its_parent() -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; from benchmarks.peers.client import Client; c = Client('PyTorch', 1)\n"
            "c.memory(); c.pause(); print(c.pid, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    with parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 10
    while state(worker) not in "Z" and time.monotonic() < end:
        time.sleep(0.05)
    assert state(worker) in "Z"


def state(pid: int) -> str:
    """The process's state letter, empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def processor_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
