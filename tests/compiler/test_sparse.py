"""Kernels of sparse layers: every candidate computes what PyTorch does, and holds nothing but what is not 0."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwaware.compiler.build import compile_module
from hwaware.compiler.schedules import candidates, generate
from hwaware.compiler.targets import base_target
from hwaware.compression.quantize.choices import layers
from hwaware.compression.sparsify import sparsified
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from tests.compiler.inprocess import AVX2, TOLERANCE, relative_error, run_compiled

# Odd channels, several images, all kinds of windows: beyond every border, strided in phases, of one row.
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dense of one row": (nn.Linear(37, 21), (1, 37)),
    "dense of three rows": (nn.Linear(70000, 3, bias=False), (3, 70000)),
    "dense of many rows": (nn.Linear(33, 19), (23, 33)),
    "1x1": (nn.Conv2d(23, 17, 1), (2, 23, 5, 7)),
    "1x1 strided": (nn.Conv2d(12, 9, 1, 2), (1, 12, 7, 9)),
    "1x1 of long rows": (nn.Conv2d(16, 24, 1, bias=False), (1, 16, 14, 31)),
    "3x3": (nn.Conv2d(11, 18, 3, padding=1), (2, 11, 7, 9)),
    "3x3 strided": (nn.Conv2d(8, 13, 3, 2, padding=1), (1, 8, 12, 35)),
    "3x3 of wide rows": (nn.Conv2d(3, 8, 3, padding=1), (1, 3, 4, 130)),
    "5x3 dilated": (nn.Conv2d(5, 7, (5, 3), (2, 3), padding=(3, 4), dilation=(1, 2)), (1, 5, 9, 20)),
    "without padding": (nn.Conv2d(9, 4, 3), (2, 9, 6, 6)),
    "one dimension": (nn.Conv1d(6, 10, 5, 2, padding=2), (2, 6, 29)),
}


def thinned(layer: nn.Module, density: float) -> None:
    """Most of the weights 0, all of one output channel."""
    assert isinstance(layer.weight, torch.Tensor)
    with torch.no_grad():
        layer.weight.mul_(torch.rand_like(layer.weight) < density)
        layer.weight[1] = 0


def sparse(layer: nn.Module, x: torch.Tensor) -> GraphModel:
    graph = capture(layer.eval(), (x,))
    return GraphModel(sparsified(graph, [node.name for node in layers(graph)]), (x,)).eval()


@pytest.mark.parametrize("name", LAYERS)
def test_every_candidate_agrees_with_pytorch(name: str) -> None:
    layer, size = LAYERS[name]
    x = torch.randn(size)
    thinned(layer, 0.2)
    model = sparse(layer, x)
    with torch.no_grad():
        assert torch.equal(model(x), layer(x))
        wanted = layer(x).numpy()
    program = lower(model.graph_for((x,)))
    (op,) = [op for op in program.ops if op.kind in ("conv2d", "dense")]
    kernels = [generate(op.workload, AVX2, choice) for choice in candidates(op.workload, AVX2)]
    others = {other.workload.key: generate(other.workload, AVX2) for other in program.ops if other is not op}
    module = compile_module([*kernels, *others.values()], AVX2)
    for kernel in kernels:
        (found,) = run_compiled(program, (x,), {op.workload.key: kernel, **others}, module)
        assert relative_error(found, wanted) < TOLERANCE, kernel.choice


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_nothing_and_everything_can_be_kept(density: float) -> None:
    layer, x = nn.Conv2d(6, 10, 3, padding=1), torch.randn(1, 6, 8, 9)
    with torch.no_grad():
        layer.weight.mul_(density)
    program = lower(sparse(layer, x).graph_for((x,)))
    kernels = {op.workload.key: generate(op.workload, AVX2) for op in program.ops}
    (found,) = run_compiled(program, (x,), kernels, compile_module(list(kernels.values()), AVX2))
    with torch.no_grad():
        assert relative_error(found, layer(x).numpy()) < TOLERANCE


def test_a_layer_takes_six_bytes_for_each_weight_that_is_not_0() -> None:
    layer, x = nn.Linear(784, 300), torch.randn(1, 784)
    thinned(layer, 0.05)
    kept = int(torch.count_nonzero(layer.weight))
    (op,) = lower(sparse(layer, x).graph_for((x,))).ops
    kernel = generate(op.workload, AVX2)
    taken = sum(item.bytes for item in kernel.arguments if item.role == "weight")
    assert taken == 6 * kept + 4 * 301 + 4 * 300
    assert taken < 0.1 * 4 * layer.weight.numel()


@pytest.mark.parametrize("target", ["x86_64", "aarch64", "armv7", "riscv64"])
def test_other_processors_have_candidates_too(target: str) -> None:
    layer, size = LAYERS["3x3"]
    thinned(layer, 0.2)
    (op,) = [
        op for op in lower(sparse(layer, torch.randn(size)).graph_for((torch.randn(size),))).ops if op.kind == "conv2d"
    ]
    here = base_target(target)
    kernels = [generate(op.workload, here, choice) for choice in candidates(op.workload, here)]
    assert len({kernel.symbol for kernel in kernels}) == len(kernels) >= 1
    compile_module(kernels, here)
