"""Whole networks trimmed: both schemes and their bounds, convolutions, targets, finetuning, bad input."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwaware.compression.nettrim.baseline import magnitude_pruned
from hwaware.compression.nettrim.finetune import finetune
from hwaware.compression.nettrim.guarantee import cascade_bound, parallel_bound
from hwaware.compression.nettrim.layer import Solving
from hwaware.compression.nettrim.network import Trim, net_trim, trim_graph
from hwaware.compression.nettrim.target import for_loss, for_share
from hwaware.compression.task import Task, evaluate
from hwaware.compression.train import fit
from hwaware.errors import BudgetError, ModelError, TaskError
from hwaware.graph.arguments import ref
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from hwaware.zoo.tasks import accuracy

EXACT = Solving(most=1500, tolerance=1e-5, slack=1e-5, dtype=torch.float64)


def _mlp() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    return module.eval(), torch.randn(64, 12)


def _hidden(module: nn.Module, x: Tensor) -> Tensor:
    """Behind the last ReLU."""
    children = list(module.children())
    return nn.Sequential(*children[:-1])(x).detach().double()


def _loaded(graph: Graph) -> nn.Module:
    module, _ = _mlp()
    module.load_state_dict(graph.tensors)
    return module


def _weights(graph: Graph) -> list[Tensor]:
    return [graph.tensors[name] for name in ("0.weight", "3.weight", "5.weight")]


def test_parallel_scheme_stays_within_its_bound() -> None:
    module, x = _mlp()
    made = net_trim(module, (x[:2],), [(x[:40],), (x[40:],)], 0.1, solving=EXACT)
    assert [report.satisfied for report in made.layers] == [True] * 3
    error = float((_hidden(_loaded(made.graph), x) - _hidden(module, x)).norm())
    # The inequalities hold up to 1e-5 of an output.
    bound = parallel_bound([report.epsilon for report in made.layers[:2]], _weights(made.graph)[:2])
    assert 0.05 * bound < error <= bound * (1 + 1e-4)


def test_cascade_stays_within_its_bound_and_keeps_the_original_weights_feasible() -> None:
    module, x = _mlp()
    made = net_trim(module, (x[:2],), [(x,)], 0.1, mode="cascade", inflation=1.3, solving=EXACT)
    assert [report.satisfied for report in made.layers] == [True] * 3
    trimmed = _loaded(made.graph)
    error = float((_hidden(trimmed, x) - _hidden(module, x)).norm())
    bound = cascade_bound(made.layers[0].epsilon, [1.3], [module.get_parameter("3.weight").detach()])
    assert error <= bound * (1 + 1e-4)
    first = list(module.children())
    reached = torch.relu(trimmed.get_submodule("0")(x))
    aim = first[3](torch.relu(first[0](x))).detach()
    own = first[3](reached).detach()
    left = float((own - aim)[aim > 0].double().norm())
    assert left <= made.layers[1].epsilon == pytest.approx(math.sqrt(1.3) * left, rel=1e-4)


def test_a_link_normalised_network_has_the_bounds_of_the_paper() -> None:
    weights = [w / w.abs().sum() for w in (torch.randn(5, 4), torch.randn(3, 5))]
    assert parallel_bound([0.5, 0.25], weights) <= 0.75
    assert cascade_bound(0.5, [1.1, 1.2], weights) <= 0.5 * math.sqrt(1.1 * 1.2)


def test_convolution_before_a_pool_and_batch_norm_are_trimmed() -> None:
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)
    ).eval()
    x = torch.randn(12, 1, 8, 8)
    made = net_trim(module, (x[:2],), [(x,)], 0.2, solving=EXACT)
    assert [report.weights for report in made.layers] == [36, 108]
    assert all(report.satisfied for report in made.layers)
    assert not any("batch_norm" in node.op for node in made.graph.nodes)
    after = GraphModel(made.graph, (x[:2],)).eval()(x)
    before = module(x)
    assert 0 < float((after - before).detach().norm()) < 0.6 * float(before.detach().norm())


@pytest.fixture(scope="module")
def task() -> Task:
    """Three noisy classes in 20 dimensions, learned by a perceptron that is too wide for them."""
    random = torch.Generator().manual_seed(2)
    centres = torch.randn(3, 20, generator=random)
    labels = torch.randint(0, 3, (768,), generator=random)
    x = centres[labels] + 1.3 * torch.randn(768, 20, generator=random)
    batches = [(x[at : at + 64], labels[at : at + 64]) for at in range(0, 768, 64)]
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3))
    made = Task(module, (x[:2],), batches[:6], batches[6:], functional.cross_entropy, accuracy, name="blobs")
    fit(module, made, epochs=15, lr=0.05)
    return made


def _inputs(task: Task) -> list[tuple[Tensor]]:
    return [(x,) for x, _ in task.train_data]


@pytest.fixture(scope="module")
def halved(task: Task) -> tuple[Graph, Trim]:
    """The graph of the task's model and what is left of it; nobody may change them."""
    graph = capture_batched(task.model, task.example_inputs)
    return graph, trim_graph(graph, _inputs(task), 0.5)


def test_net_trim_beats_magnitude_pruning_at_equal_count_before_finetuning(
    task: Task, halved: tuple[Graph, Trim]
) -> None:
    graph, made = halved
    other = magnitude_pruned(graph, made.layers)
    assert made.removed > 0.5
    for report in made.layers:
        names = [ref(node, "weight") for node in graph.nodes if node.name == report.layer]
        counts = [int(torch.count_nonzero(g.tensors[names[0]])) for g in (made.graph, other)]
        assert counts == [report.left, report.left]
    ours, theirs = (evaluate(task, GraphModel(g, task.example_inputs)) for g in (made.graph, other))
    assert ours > theirs


def test_finetuning_keeps_the_zeros_and_learns(task: Task, halved: tuple[Graph, Trim]) -> None:
    _, made = halved
    after = finetune(made.graph, made.layers, task, epochs=2)
    for name in (name for name in after.tensors if name.endswith("weight")):
        assert torch.equal(after.tensors[name] != 0, made.graph.tensors[name] != 0)
        assert not torch.equal(after.tensors[name], made.graph.tensors[name])


def test_gain_is_found_for_a_share_and_for_a_loss(task: Task) -> None:
    graph = capture_batched(task.model, task.example_inputs)
    quick = Solving(most=200, polish=100)
    shared = for_share(graph, _inputs(task), 0.6, solving=quick, tries=4)
    assert 0.6 <= shared.trim.removed < 0.9
    kept = for_loss(graph, task, _inputs(task), 0.02, solving=quick, tries=4)
    before = evaluate(task, task.model)
    assert evaluate(task, GraphModel(kept.trim.graph, task.example_inputs)) >= before - 0.02
    with pytest.raises(BudgetError, match="removes at most"):
        for_share(graph, _inputs(task), 0.99999, solving=quick)


def test_bad_input_is_one_clear_line(task: Task) -> None:
    graph = capture_batched(task.model, task.example_inputs)
    with pytest.raises(TaskError, match="no calibration data"):
        trim_graph(graph, [], 0.1)
    with pytest.raises(TaskError, match="calibration batch 0 holds NaN"):
        trim_graph(graph, [(torch.full((4, 20), torch.nan),)], 0.1)
    with pytest.raises(ModelError, match="nothing cannot be trimmed: the model has no such layer"):
        trim_graph(graph, _inputs(task), {"nothing": 0.1})
    with pytest.raises(ModelError, match="mode 'both' is unknown"):
        trim_graph(graph, _inputs(task), 0.1, mode="both")  # type: ignore[arg-type]


def test_a_model_without_layers_to_trim_says_why() -> None:
    x = torch.randn(2, 4, 6)
    with pytest.raises(ModelError, match=r"can trim no layer of the model: .*in groups"):
        net_trim(nn.Conv2d(4, 4, 3, groups=4), (x[..., None].repeat(1, 1, 1, 6),), [(torch.randn(3, 4, 6, 6),)], 0.1)


def test_a_layer_without_a_gain_stays(task: Task) -> None:
    graph = capture_batched(task.model, task.example_inputs)
    made = trim_graph(graph, _inputs(task), {"linear": 0.1}, solving=replace(EXACT, most=50))
    assert [report.layer for report in made.layers] == ["linear"]
    assert torch.equal(made.graph.tensors["2.weight"], graph.tensors["2.weight"])
