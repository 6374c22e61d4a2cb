"""From a trained graph to codewords: what training may move, and what an interruption may not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hwaware.compression.codebook.coded import rebuilt
from hwaware.compression.codebook.layerwise import Coding
from hwaware.compression.codebook.method import Codebooks, Settings, coded_network, forms_by_rules
from hwaware.compression.codebook.report import size_of
from hwaware.compression.codebook.tune import GlobalTuning, LayerTuning
from hwaware.compression.quantize.fold import folded
from hwaware.errors import ModelError, TaskError
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Graph
from tests.compression.codebook.nets import images, net, run, task_of

CODING = Coding(steps=5, tuning=LayerTuning(steps=0))


def settings(epochs: int, **changes: Any) -> Settings:
    return Settings(CODING, GlobalTuning(epochs=epochs, lr=0.02, **changes))


def distance(graph: Graph, other: Graph) -> float:
    x = images(64, 77)
    p, q = (run(g, x).log_softmax(1) for g in (graph, other))
    return float((p.exp() * (p - q)).sum(1).mean())


def test_global_tuning_moves_codewords_and_statistics_and_nothing_else() -> None:
    graph = net()
    before, after = (coded_network(graph, task_of(graph), settings=settings(epochs)) for epochs in (0, 4))
    assert distance(graph, after.graph) < 0.8 * distance(graph, before.graph)
    weights = {layer.weight for layer in after.layers}
    for one, other in zip(before.layers, after.layers, strict=True):
        assert torch.equal(one.assignments, other.assignments)
        assert not torch.equal(one.codebook, other.codebook)
        assert torch.equal(after.graph.tensors[other.weight], rebuilt(other))
    for name, tensor in graph.tensors.items():
        if "running" in name:
            assert not torch.equal(after.graph.tensors[name], tensor), name
        elif name not in weights and "num_batches" not in name:
            assert torch.equal(after.graph.tensors[name], tensor), name
    assert after.size == size_of(graph, after.layers) == before.size
    assert set(after.left) == {"conv2d", "conv2d_5"}


def test_the_rest_is_trained_where_asked() -> None:
    graph = net()
    after = coded_network(graph, task_of(graph), settings=settings(1, rest=True))
    assert not torch.equal(after.graph.tensors["bn1.weight"], graph.tensors["bn1.weight"])
    assert not torch.equal(after.graph.tensors["stem.weight"], graph.tensors["stem.weight"])


def test_statistics_that_belong_to_the_codewords_are_needed() -> None:
    graph = net()
    after = coded_network(graph, task_of(graph), settings=settings(4)).graph
    tensors = {name: graph.tensors[name] if "running" in name else t for name, t in after.tensors.items()}
    without = Graph(after.inputs, after.nodes, after.outputs, tensors, after.parameters, after.batched)
    assert distance(graph, after) < distance(graph, without)


def test_a_graph_with_folded_batch_norms_is_coded_too() -> None:
    graph = folded(net())
    after = coded_network(graph, task_of(graph), settings=settings(1))
    assert distance(graph, after.graph) < 0.5
    assert not [name for name in after.graph.tensors if "running" in name]


def test_epochs_are_told_the_share_of_agreement_without_a_look_at_targets() -> None:
    graph = net()
    told: list[dict[str, float]] = []
    coded_network(graph, task_of(graph), settings=settings(2), on_epoch=lambda epoch, values: told.append(values))
    assert len(told) == 2
    assert all(0 < values["metric"] <= 1 for values in told)


def same(one: Codebooks, other: Codebooks) -> bool:
    return one.reports == other.reports and all(
        torch.equal(tensor, other.graph.tensors[name]) for name, tensor in one.graph.tensors.items()
    )


def test_an_interrupted_global_tuning_goes_on_identically(tmp_path: Path) -> None:
    graph = net()
    how = settings(3)
    whole = coded_network(graph, task_of(graph), settings=how)

    def stop(epoch: int, values: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        coded_network(graph, task_of(graph), settings=how, folder=tmp_path, on_epoch=stop)
    layers: list[str] = []
    resumed = coded_network(
        graph, task_of(graph), settings=how, folder=tmp_path, on_layer=lambda report: layers.append(report.name)
    )
    assert not layers
    assert same(whole, resumed)


def test_the_given_graph_is_left_as_it_was() -> None:
    graph = net()
    before = {name: tensor.clone() for name, tensor in graph.tensors.items()}
    coded_network(graph, task_of(graph), settings=Settings(Coding(2, 1, LayerTuning(2)), GlobalTuning(1)))
    assert all(torch.equal(tensor, graph.tensors[name]) for name, tensor in before.items())


def test_a_learning_rate_too_high_is_one_line() -> None:
    graph = net()
    with pytest.raises(TaskError, match=r"the loss became (nan|inf); lower the learning rate") as caught:
        coded_network(graph, task_of(graph), settings=Settings(Coding(2, 1, LayerTuning(20, lr=1e12)), GlobalTuning(0)))
    assert "\n" not in str(caught.value)


def test_layers_too_small_for_a_codebook_are_one_line() -> None:
    graph = capture_batched(torch.nn.Sequential(torch.nn.Linear(4, 4)).eval(), (torch.zeros(2, 4),))
    with pytest.raises(ModelError, match=r"^no layer of the model has enough blocks for a codebook \(linear\)$"):
        forms_by_rules(graph)
