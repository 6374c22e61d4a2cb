"""Layers coded from the bottom up, each for the inputs that the layers before it, coded already, leave it.

Stock et al. 2019 (arXiv:1907.05686, section 3.3). Evaluation mode throughout. Behind every layer the state is stored,
so that an interrupted run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from hwaware.compression.checkpoint import Arguments, Checkpoint, Snapshot
from hwaware.compression.codebook.calibration import Calibration
from hwaware.compression.codebook.coded import CodedLayer, Form, blocks_of, half, rebuilt
from hwaware.compression.codebook.gram import Metrics
from hwaware.compression.codebook.layers import Layer, checked, found
from hwaware.compression.codebook.lloyd import lloyd
from hwaware.compression.codebook.progress import Progress, fingerprint
from hwaware.compression.codebook.refine import refined
from hwaware.compression.codebook.report import LayerReport, reported
from hwaware.compression.codebook.student import with_layers
from hwaware.compression.codebook.tune import LayerTuning, tuned_layer
from hwaware.compression.quantize.walk import Walk
from hwaware.compression.stateful import pack, unpack
from hwaware.compression.task import Task
from hwaware.errors import HwawareError, ModelError
from hwaware.graph.arguments import ref
from hwaware.graph.execute import Mode, step
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

LARGEST_ROW = 4608  # inputs of a 3×3 convolution of 512 channels: 170 MB of Gram matrix


@dataclass(frozen=True)
class Coding:
    """EM `steps` a layer, `rounds` of refinement, the tuning behind them, and the first of the random numbers.

    Without rounds it is the paper's procedure. Layers with more than 4608 inputs an output are never refined.
    """

    steps: int = 100
    rounds: int = 4
    tuning: LayerTuning = field(default_factory=LayerTuning)
    seed: int = 0


@dataclass(frozen=True)
class Coded:
    """The coded layers in order, a report of each, and why others are as they were."""

    layers: tuple[CodedLayer, ...]
    reports: tuple[LayerReport, ...]
    left: dict[str, str]


def coded_layers(
    graph: Graph,
    task: Task,
    forms: Mapping[str, Form],
    calibration: Calibration,
    *,
    how: Coding | None = None,
    checkpoint: Checkpoint | None = None,
    on_layer: Callable[[LayerReport], object] | None = None,
) -> Coded:
    """Code the layers of `graph` that `forms` names (by node); others stay.

    The teacher is `graph` as it is. With `checkpoint` the same call goes on behind the last layer that was done.
    Raises ModelError for forms that do not fit, TaskError for bad data, ArtifactError for a foreign checkpoint.
    """
    how = how or Coding()
    able = found(graph, first=True)
    known = {layer.name: layer for layer in able.layers}
    for name in forms:
        if name not in known:
            raise ModelError(f"{name} cannot be coded: {able.left.get(name, 'the model has no such layer')}")
    chosen = [(layer, checked(layer, forms[layer.name])) for layer in able.layers if layer.name in forms]
    done = Progress([layer.name for layer, _ in chosen])
    arguments = _arguments(graph, task, chosen, how)
    _restore(done, checkpoint, arguments)
    teacher = GraphModel(graph, task.example_inputs).eval()
    seen, unseen = Walk(graph, calibration.seen), Walk(graph, calibration.unseen)
    for index, (layer, form) in enumerate(chosen):
        if index >= len(done.layers):
            metrics = Metrics(layer, _inputs(seen, layer))
            now = with_layers(graph, done.layers)
            first, objective = coded(layer, graph.tensors[layer.weight], metrics, form, how, how.seed + index)
            after = tuned_layer(now, task, teacher, first, how.tuning, seed=how.seed + index)
            error = output_error(graph, layer, after, _inputs(unseen, layer))
            done.add(after, reported(after, objective, error))
            _store(done, checkpoint, arguments)
            if on_layer is not None:
                on_layer(done.reports[-1])
        for walk in (seen, unseen):
            walk.replace(layer.weight, rebuilt(done.layers[index]))
    reasons = {name: able.left.get(name, "not asked for") for name in (*able.left, *known) if name not in forms}
    return Coded(tuple(done.layers), tuple(done.reports), reasons)


def coded(
    layer: Layer, weight: Tensor, metrics: Metrics, form: Form, how: Coding, seed: int
) -> tuple[CodedLayer, float]:
    """`layer` with its dense `weight` coded, without tuning, and the objective that EM ended with."""
    clusters = lloyd(blocks_of(weight, form.d), metrics.of_blocks(form.d), form.k, steps=how.steps, seed=seed)
    objective = clusters.objectives[-1]
    if how.rounds > 0 and layer.row <= LARGEST_ROW:
        clusters = refined(weight.reshape(layer.groups, -1, layer.row), metrics.of_rows, clusters, how.rounds)
    made = CodedLayer(layer.name, layer.weight, layer.shape, half(clusters.codebook), clusters.assignments)
    return made, objective


@torch.no_grad()
def output_error(graph: Graph, layer: Layer, after: CodedLayer, inputs: list[Tensor]) -> float:
    """‖x (W - Ŵ)‖² / ‖x W‖² for batches x of what `layer` reads; 0 where the layer makes nothing but zeros."""
    weight = graph.tensors[layer.weight]
    run = step(graph, layer.node)
    wrong = right = 0.0
    others = {name: tensor for name, tensor in graph.tensors.items() if name in set(layer.node.refs())}
    for x in inputs:
        results = []
        for values in (weight - rebuilt(after), weight, torch.zeros_like(weight)):
            given = {**others, ref(layer.node, "input"): x, layer.weight: values}
            results.append(run(given, Mode(False, len(x))))
        difference, whole, bias = results
        wrong += float((difference - bias).double().square().sum())
        right += float((whole - bias).double().square().sum())
    return wrong / right if right > 0 else 0.0


def _inputs(walk: Walk, layer: Layer) -> list[Tensor]:
    walk.before(layer.name)
    return walk.values(ref(layer.node, "input"))


def _arguments(graph: Graph, task: Task, chosen: list[tuple[Layer, Form]], how: Coding) -> Arguments:
    return {
        "task": task.name,
        "weights": fingerprint(graph),
        "forms": [f"{layer.name}: d={form.d}, k={form.k}" for layer, form in chosen],
        "EM steps": how.steps,
        "rounds": how.rounds,
        "tuning": [f"{name}={value}" for name, value in asdict(how.tuning).items()],
        "seed": how.seed,
    }


def _restore(done: Progress, checkpoint: Checkpoint | None, arguments: Arguments) -> None:
    snapshot = checkpoint.load(arguments) if checkpoint is not None else None
    if checkpoint is None or snapshot is None:
        return
    try:
        (state,) = snapshot.states
        done.restore(unpack(state, snapshot.tensors))
    except (ValueError, TypeError, KeyError, AttributeError, HwawareError) as error:
        raise checkpoint.corrupt(f"its layers make no sense ({error})") from error


def _store(done: Progress, checkpoint: Checkpoint | None, arguments: Arguments) -> None:
    if checkpoint is not None:
        tensors: dict[str, Tensor] = {}
        states = [pack(done.state(), tensors, "layers")]
        checkpoint.save(arguments, Snapshot(len(done.layers), 0, states, tensors))
