"""Ops of a model against the machine's limits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.profile import op_lines, table
from hwaware.profiling.run import OpSamples
from tests.compiler.inprocess import Case, lowered


def test_rates_and_shares_of_the_limits() -> None:
    module = nn.Sequential(nn.Conv2d(4, 8, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)).eval()
    program = lowered(Case(module, (torch.randn(1, 4, 10, 10),)))
    samples = tuple(
        OpSamples(op.name, op.workload.key, (4e6, 1e6, 2e6) if op.workload.kind == "conv2d" else (1e5,))
        for op in program.ops
    )
    lines = op_lines(program, samples)
    assert lines[0].key.startswith("conv2d")
    assert lines[0].ms == 2.0
    assert lines[0].flop == 2 * 100 * 4 * 8
    assert lines[0].bytes == 4 * (100 * 4 + 100 * 8 + 4 * 8 + 8)
    assert lines[0].gflops == pytest.approx(6400 / 2e-3 / 1e9)
    text = table(lines, peak=6.4e-3, bandwidth=1.0).splitlines()
    assert "  50%" in text[1]
    assert len(text) == len(lines) + 2
