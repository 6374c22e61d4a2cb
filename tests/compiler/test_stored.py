"""Weights of fewer bits in layers that pack them in ways of their own: every candidate computes what PyTorch does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwaware.compiler.build import compile_module
from hwaware.compiler.schedules import candidates, generate
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import Precision, everywhere
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.rewrite import quantized
from hwaware.compression.task import Task
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from hwaware.graph.workload import STORED
from tests.compiler.inprocess import AVX2, TOLERANCE, relative_error, run_compiled

# Odd channels, taps that fill no byte, more taps than a group of 64, several filters a channel, rows above the image.
LAYERS: dict[str, tuple[nn.Conv2d, tuple[int, ...]]] = {
    "3x3": (nn.Conv2d(23, 23, 3, padding=1, groups=23), (2, 23, 7, 9)),
    "stride 2": (nn.Conv2d(40, 40, 3, 2, padding=1, groups=40, bias=False), (1, 40, 11, 15)),
    "9x9": (nn.Conv2d(5, 5, 9, padding=4, groups=5), (1, 5, 10, 12)),
    "1x5 dilated": (nn.Conv2d(17, 17, (1, 5), padding=(2, 4), dilation=(1, 2), groups=17), (1, 17, 4, 13)),
    "one row": (nn.Conv2d(9, 9, (2, 4), groups=9), (1, 9, 2, 11)),
    "two filters a channel": (nn.Conv2d(6, 12, 3, padding=1, groups=6), (1, 6, 5, 6)),
    "one channel": (nn.Conv2d(1, 13, 5), (2, 1, 9, 8)),
    "groups": (nn.Conv2d(12, 18, 3, padding=1, groups=3), (1, 12, 6, 5)),
}


def in_precision(layer: nn.Module, x: torch.Tensor, precision: Precision) -> GraphModel:
    graph = folded(capture(layer.eval(), (x,)))
    data = [(x, torch.zeros(len(x)))]
    task = Task(layer, (x,), data, data, lambda out, _: out.sum(), lambda out, _: 0.0)
    return GraphModel(quantized(graph, everywhere(graph, precision), calibrate(graph, task, batches=1)), (x,)).eval()


CASES: list[tuple[str, Precision]] = [(name, "weight4") for name in LAYERS]
CASES += [("one row", "weight8"), ("one row", "float16")]


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_every_candidate_agrees_with_pytorch(name: str, precision: Precision) -> None:
    layer, size = LAYERS[name]
    x = torch.randn(size)
    model = in_precision(layer, x, precision)
    program = lower(model.graph_for((x,)))
    (op,) = [op for op in program.ops if op.kind == "conv2d"]
    kernels = [generate(op.workload, AVX2, choice) for choice in candidates(op.workload, AVX2)]
    others = {other.workload.key: generate(other.workload, AVX2) for other in program.ops if other is not op}
    module = compile_module([*kernels, *others.values()], AVX2)
    with torch.no_grad():
        wanted = model(x).numpy()
    for kernel in kernels:
        (found,) = run_compiled(program, (x,), {op.workload.key: kernel, **others}, module)
        assert relative_error(found, wanted) < TOLERANCE, kernel.choice


def test_a_depthwise_layer_of_4_bits_takes_that_little_room() -> None:
    """Half a byte a weight, rounded up to whole bytes a channel, and a float16 scale; padding for one vector."""
    layer, size = LAYERS["stride 2"]
    model = in_precision(layer, torch.randn(size), "weight4")
    (op,) = [op for op in lower(model.graph_for(model.example_inputs)).ops if op.kind == "conv2d"]
    assert dict(op.workload.attrs)[STORED] == "int4x64"
    kernel = generate(op.workload, AVX2)
    taken = sum(item.bytes for item in kernel.arguments if item.role == "weight" and item.dtype != "float32")
    assert taken <= 40 * 5 + 40 * 2 + 3 * AVX2.lanes
