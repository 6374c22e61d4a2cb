"""A graph that looks its weights up computes and trains as it should."""

from __future__ import annotations

import torch
from torch.nn import functional

from hwaware.compression.codebook.coded import CodedLayer, blocks_of, half, rebuilt
from hwaware.compression.codebook.student import student, with_layers
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from tests.compression.codebook.nets import images, net, run


def coded(graph: Graph, name: str, weight: str, d: int, k: int = 8) -> CodedLayer:
    tensor = graph.tensors[weight]
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(0, k - 1, (tensor.numel() // d,), generator=random)
    return CodedLayer(name, weight, tuple(tensor.shape), half(blocks_of(tensor, d)[:k]), codes)


def layers(graph: Graph) -> list[CodedLayer]:
    names = {node.args["weight"].name: node.name for node in graph.nodes if "weight" in node.args}  # type: ignore[union-attr]
    forms = {"conv1.weight": 9, "point.weight": 4, "grouped.weight": 18, "fc1.weight": 4}
    return [coded(graph, names[weight], weight, d) for weight, d in forms.items()]


def test_the_student_computes_what_the_dense_weights_of_its_codewords_do() -> None:
    graph = net()
    made = student(graph, layers(graph))
    x = images(4)
    assert torch.equal(run(made.graph, x), run(with_layers(graph, layers(graph)), x))
    assert made.graph.parameters == set(made.codebooks)
    assert not {"conv1.weight", "fc1.weight"} & made.graph.tensors.keys()
    assert "fc2.bias" in student(graph, layers(graph), rest=True).graph.parameters


def test_a_codewords_gradient_is_the_mean_over_its_blocks() -> None:
    graph = net()
    layer = layers(graph)[0]
    made = student(graph, [layer])
    x = images(4)
    ours = GraphModel(made.graph).eval()
    functional.softmax(ours(x), 1)[:, 0].sum().backward()
    (words,) = ours.parameters()
    dense = GraphModel(with_layers(graph, [layer])).eval()
    functional.softmax(dense(x), 1)[:, 0].sum().backward()
    gradient = dict(dense.named_parameters())[layer.weight].grad
    assert gradient is not None
    assert words.grad is not None
    blocks = blocks_of(gradient, layer.form.d)
    for code in range(layer.form.k):
        mine = blocks[layer.assignments == code]
        wanted = mine.mean(0) if len(mine) else torch.zeros(layer.form.d)
        torch.testing.assert_close(words.grad[code], wanted, rtol=1e-4, atol=1e-7)


def test_what_was_trained_is_read_back_in_float16() -> None:
    graph = net()
    made = student(graph, layers(graph))
    tensors = dict(made.graph.tensors)
    tensors[made.codebooks[0]] = tensors[made.codebooks[0]] * 1.234567
    tensors["bn1.running_mean"] = tensors["bn1.running_mean"] + 1
    trained = Graph(
        made.graph.inputs, made.graph.nodes, made.graph.outputs, tensors, made.graph.parameters, made.graph.batched
    )
    first = made.coded(trained)[0]
    assert torch.equal(first.codebook, half(layers(graph)[0].codebook * 1.234567))
    assert torch.equal(first.assignments, layers(graph)[0].assignments)
    dense = made.dense(graph, trained)
    assert torch.equal(dense.tensors["conv1.weight"], rebuilt(first))
    assert torch.equal(dense.tensors["bn1.running_mean"], graph.tensors["bn1.running_mean"] + 1)
    assert dense.tensors.keys() == graph.tensors.keys()
