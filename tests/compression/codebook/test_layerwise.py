"""Layers coded one after the other do better than plain k-means, and go on after an interruption."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.codebook import layerwise
from hwaware.compression.codebook.calibration import calibration
from hwaware.compression.codebook.coded import CodedLayer, Form, blocks_of, half
from hwaware.compression.codebook.gram import Metrics
from hwaware.compression.codebook.layers import Layer, found
from hwaware.compression.codebook.layerwise import Coded, Coding, coded, coded_layers, output_error
from hwaware.compression.codebook.lloyd import lloyd
from hwaware.compression.codebook.method import forms_by_rules
from hwaware.compression.codebook.student import with_layers
from hwaware.compression.codebook.tune import LayerTuning
from hwaware.compression.quantize.walk import Walk
from hwaware.errors import ArtifactError, ModelError, TaskError
from hwaware.graph.arguments import ref
from hwaware.graph.model import GraphModel
from tests.compression.codebook.nets import images, net, run, task_of

QUICK = Coding(steps=15, tuning=LayerTuning(steps=0))
TUNED = Coding(steps=4, tuning=LayerTuning(steps=4))


def test_outputs_on_unseen_inputs_are_nearer_than_with_plain_k_means_for_every_layer() -> None:
    graph = net()
    data = calibration(graph, task_of(graph))
    forms = forms_by_rules(graph)
    names = {layer.name: layer for layer in found(graph).layers}
    seen, unseen = Walk(graph, data.seen), Walk(graph, data.unseen)
    for name, form in forms.items():
        layer = names[name]
        weight = graph.tensors[layer.weight]
        for walk in (seen, unseen):
            walk.before(name)
        inputs, held = (walk.values(ref(layer.node, "input")) for walk in (seen, unseen))
        metrics = Metrics(layer, inputs)
        ours = paper = plain = 0.0
        for seed in range(2):
            made, _ = coded(layer, weight, metrics, form, QUICK, seed)
            ours += output_error(graph, layer, made, held)
            unrefined, _ = coded(layer, weight, metrics, form, replace(QUICK, rounds=0), seed)
            paper += output_error(graph, layer, unrefined, held)
            other = lloyd(blocks_of(weight, form.d), torch.eye(form.d), form.k, steps=15, seed=seed)
            euclid = CodedLayer(name, layer.weight, layer.shape, half(other.codebook), other.assignments)
            plain += output_error(graph, layer, euclid, held)
        assert ours < min(paper, plain), name


def test_the_output_error_is_that_of_the_layers_output() -> None:
    graph = net()
    x = images(6)
    layer = next(layer for layer in found(graph).layers if layer.weight == "fc2.weight")
    walk = Walk(graph, [(x,)])
    walk.before(layer.name)
    inputs = walk.values(ref(layer.node, "input"))
    made, _ = coded(layer, graph.tensors[layer.weight], Metrics(layer, inputs), Form(4, 8), QUICK, 0)
    right, wrong = run(graph, x), run(with_layers(graph, [made]), x)
    expected = (wrong - right).square().sum() / (right - graph.tensors["fc2.bias"]).square().sum()
    error = output_error(graph, layer, made, inputs)
    assert error == pytest.approx(float(expected), rel=1e-4)


def test_inputs_come_from_the_coded_student(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = net()
    read: dict[str, torch.Tensor] = {}

    def spy(layer: Layer, inputs: list[torch.Tensor]) -> Metrics:
        read[layer.name] = inputs[0]
        return Metrics(layer, inputs)

    monkeypatch.setattr(layerwise, "Metrics", spy)
    data = calibration(graph, task_of(graph))
    forms = forms_by_rules(graph)
    done = coded_layers(graph, task_of(graph), forms, data, how=QUICK)
    for index, layer in enumerate(done.layers):
        walk = Walk(with_layers(graph, done.layers[:index]), data.seen)
        walk.before(layer.name)
        node = next(node for node in graph.nodes if node.name == layer.name)
        torch.testing.assert_close(read[layer.name], walk.values(ref(node, "input"))[0])
    assert [report.name for report in done.reports] == list(forms)


def test_tuning_a_layer_brings_the_outputs_nearer_to_the_teachers() -> None:
    graph = net()
    data = calibration(graph, task_of(graph))
    forms = forms_by_rules(graph)

    def distance(steps: int) -> float:
        how = Coding(steps=5, tuning=LayerTuning(steps=steps))
        layers = coded_layers(graph, task_of(graph), forms, data, how=how).layers
        x = images(64, 77)
        p, q = (run(g, x).log_softmax(1) for g in (graph, with_layers(graph, layers)))
        return float((p.exp() * (p - q)).sum(1).mean())

    assert distance(15) < 0.9 * distance(0)


def same(one: Coded, other: Coded) -> bool:
    return one.reports == other.reports and all(
        torch.equal(a.codebook, b.codebook) and torch.equal(a.assignments, b.assignments)
        for a, b in zip(one.layers, other.layers, strict=True)
    )


def test_an_interrupted_coding_goes_on_identically(tmp_path: Path) -> None:
    graph = net()
    data = calibration(graph, task_of(graph))
    forms = forms_by_rules(graph)
    whole = coded_layers(graph, task_of(graph), forms, data, how=TUNED)
    checkpoint = Checkpoint(tmp_path, "layers")
    done: list[str] = []

    def stop(report: Any) -> None:
        done.append(report.name)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        coded_layers(graph, task_of(graph), forms, data, how=TUNED, checkpoint=checkpoint, on_layer=stop)
    resumed = coded_layers(graph, task_of(graph), forms, data, how=TUNED, checkpoint=checkpoint, on_layer=stop)
    assert same(whole, resumed)
    assert done == list(forms)
    with pytest.raises(ArtifactError, match=r"another training: EM steps is 4 there and 15 here"):
        coded_layers(graph, task_of(graph), forms, data, how=QUICK, checkpoint=checkpoint)
    other = replace(graph, tensors={**graph.tensors, "fc2.bias": graph.tensors["fc2.bias"] + 1})
    with pytest.raises(ArtifactError, match=r"another training: weights is"):
        coded_layers(other, task_of(other), forms, data, how=TUNED, checkpoint=checkpoint)


def test_damaged_progress_is_refused(tmp_path: Path) -> None:
    graph = net()
    data = calibration(graph, task_of(graph))
    forms = {"linear_1": Form(4, 8)}
    checkpoint = Checkpoint(tmp_path, "layers")
    coded_layers(graph, task_of(graph), forms, data, how=QUICK, checkpoint=checkpoint)
    document = json.loads(checkpoint.path.read_text())
    document["states"][0]["layers"][0]["shape"] = [10, 25]
    checkpoint.path.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=r"its layers make no sense \(linear_1: a weight of shape \(10, 25\)"):
        coded_layers(graph, task_of(graph), forms, data, how=QUICK, checkpoint=checkpoint)


def test_a_form_for_a_layer_that_cannot_be_coded_is_one_line() -> None:
    graph = net()
    data = calibration(graph, task_of(graph))
    depthwise = next(name for name, reason in found(graph).left.items() if "depthwise" in reason)
    with pytest.raises(ModelError, match=rf"^{depthwise} cannot be coded: depthwise convolutions have too few"):
        coded_layers(graph, task_of(graph), {depthwise: Form(9, 2)}, data)
    with pytest.raises(ModelError, match=r"^fc9 cannot be coded: the model has no such layer$"):
        coded_layers(graph, task_of(graph), {"fc9": Form(4, 2)}, data)
    with pytest.raises(ModelError, match=r"^linear_1: k = 64 is larger than its 60 vectors; take at most 8$"):
        coded_layers(graph, task_of(graph), {"linear_1": Form(4, 64)}, data)


def test_calibration_keeps_a_quarter_back_and_refuses_what_it_cannot_use() -> None:
    graph = net()
    data = calibration(graph, task_of(graph), batches=4)
    assert (len(data.seen), len(data.unseen)) == (3, 1)
    one = calibration(graph, task_of(graph), batches=1)
    assert (len(one.seen[0][0]), len(one.unseen[0][0])) == (8, 8)
    for batches, message in (
        ([images(0)], "^task toy: train_data is empty: calibration needs at least one batch of inputs$"),
        ([images(1)], "^task toy: calibration needs at least two samples, one of them to measure with$"),
        ([images(4) * torch.nan], "^task toy: calibration batch 0 holds NaN or infinity; clean the training data$"),
        ([images(4, 0, (3, 9, 9))], r"^task toy: calibration batch 0: input \w+ has shape"),
    ):
        with pytest.raises(TaskError, match=message):
            calibration(graph, task_of(graph, batches))


def test_activations_that_overflow_inside_are_one_line() -> None:
    graph = net()
    model = GraphModel(graph)
    with torch.no_grad():
        dict(model.named_parameters())["stem.bias"].fill_(torch.inf)
    broken = model.graph
    data = calibration(broken, task_of(broken))
    with pytest.raises(TaskError, match=r"^conv2d_1: the activations that it reads hold NaN or infinity"):
        coded_layers(broken, task_of(broken), forms_by_rules(broken), data, how=QUICK)
