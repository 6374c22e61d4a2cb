"""Kernels of layers in a codebook: every candidate computes what PyTorch does, and holds codes and codewords only."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwaware.compiler.build import compile_module
from hwaware.compiler.schedules import candidates, generate
from hwaware.compiler.targets import base_target
from hwaware.graph.capture import capture
from hwaware.graph.ir import Graph, Node, Ref, Spec
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from tests.compiler.inprocess import AVX2, TOLERANCE, relative_error, run_compiled

# Odd channels, several images, blocks of a window and of half of a row, more codewords than a byte names.
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...], int, int]] = {
    "dense of one row": (nn.Linear(36, 21), (1, 36), 16, 4),
    "dense of three rows": (nn.Linear(27, 2, bias=False), (3, 27), 300, 9),
    "dense of many rows": (nn.Linear(32, 19), (23, 32), 16, 8),
    "one block a row": (nn.Linear(20, 9), (1, 20), 7, 20),
    "1x1": (nn.Conv2d(24, 17, 1), (2, 24, 5, 7), 256, 4),
    "1x1 strided": (nn.Conv2d(12, 9, 1, 2), (1, 12, 7, 9), 512, 4),
    "1x1 of one position": (nn.Conv2d(12, 9, 1), (1, 12, 1, 1), 8, 4),
    "3x3": (nn.Conv2d(11, 18, 3, padding=1), (2, 11, 7, 9), 64, 9),
    "3x3 in large blocks": (nn.Conv2d(6, 33, 3, 2, padding=1), (1, 6, 9, 11), 32, 18),
    "3x3 across windows": (nn.Conv2d(4, 5, 3), (1, 4, 6, 6), 8, 6),
    "one dimension": (nn.Conv1d(6, 10, 5, 2, padding=2), (2, 6, 29), 16, 5),
}


def coded(layer: nn.Module, x: torch.Tensor, words: int, depth: int) -> GraphModel:
    """The layer with random codes; its own weights are what they say."""
    graph = capture(layer.eval(), (x,))
    (node,) = [node for node in graph.nodes if "weight" in node.args]
    assert isinstance(layer.weight, torch.Tensor)
    shape = tuple(layer.weight.shape)
    codebook = (torch.randn(words, depth) * 0.1).half()
    codes = torch.randint(0, words, (shape[0], layer.weight[0].numel() // depth), dtype=torch.int32)
    with torch.no_grad():
        layer.weight.copy_(codebook.float()[codes.long()].reshape(shape))
    args = {"codes": Ref("codes"), "codebook": Ref("codebook"), "shape": shape}
    made = Node("decoded", "hwaware.decode_codebook", args, Spec(shape, "float32"), "")
    changed = Node(node.name, node.op, {**node.args, "weight": Ref("decoded")}, node.spec, node.path)
    nodes = [made, *(changed if one is node else one for one in graph.nodes)]
    tensors = {name: tensor for name, tensor in graph.tensors.items() if not name.endswith("weight")}
    tensors |= {"codes": codes, "codebook": codebook}
    parameters = frozenset(graph.parameters & tensors.keys())
    return GraphModel(Graph(dict(graph.inputs), nodes, graph.outputs, tensors, parameters, graph.batched), (x,)).eval()


@pytest.mark.parametrize("name", LAYERS)
def test_every_candidate_agrees_with_pytorch(name: str) -> None:
    layer, size, words, depth = LAYERS[name]
    x = torch.randn(size)
    model = coded(layer, x, words, depth)
    with torch.no_grad():
        wanted = layer(x)
        torch.testing.assert_close(model(x), wanted)
    program = lower(model.graph_for((x,)))
    (op,) = [op for op in program.ops if op.kind in ("conv2d", "dense")]
    kernels = [generate(op.workload, AVX2, choice) for choice in candidates(op.workload, AVX2)]
    assert {kernel.choice.schedule for kernel in kernels} <= {"coded", "coded_rows"}
    others = {other.workload.key: generate(other.workload, AVX2) for other in program.ops if other is not op}
    module = compile_module([*kernels, *others.values()], AVX2)
    for kernel in kernels:
        (found,) = run_compiled(program, (x,), {op.workload.key: kernel, **others}, module)
        assert relative_error(found, wanted.numpy()) < TOLERANCE, kernel.choice


def test_a_layer_takes_a_byte_for_each_block_and_the_codebook() -> None:
    layer, x = nn.Linear(784, 300), torch.randn(1, 784)
    (op,) = lower(coded(layer, x, 256, 4).graph_for((x,))).ops
    kernel = generate(op.workload, AVX2)
    taken = sum(item.bytes for item in kernel.arguments if item.role == "weight")
    assert taken == 784 // 4 * 300 + 2 * 256 * 4 + 4 * 300
    assert taken < 0.1 * 4 * layer.weight.numel()


@pytest.mark.parametrize("target", ["x86_64", "aarch64", "armv7", "riscv64"])
def test_other_processors_have_candidates_too(target: str) -> None:
    layer, size, words, depth = LAYERS["3x3"]
    program = lower(coded(layer, torch.randn(size), words, depth).graph_for((torch.randn(size),)))
    (op,) = [op for op in program.ops if op.kind == "conv2d"]
    here = base_target(target)
    kernels = [generate(op.workload, here, choice) for choice in candidates(op.workload, here)]
    assert len({kernel.symbol for kernel in kernels}) == len(kernels) >= 1
    compile_module(kernels, here)
