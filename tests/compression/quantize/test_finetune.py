"""Training with quantisation in the loop, with labels or with a teacher."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from hwaware.compression.quantize.affine import Affine
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import Choices, everywhere
from hwaware.compression.quantize.finetune import finetuned
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.rewrite import quantized
from hwaware.compression.quantize.taught import divergence, squared, taught
from hwaware.compression.scratch import fresh
from hwaware.compression.task import Task
from hwaware.errors import TaskError
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from tests.compression.morphnets import EXAMPLE
from tests.compression.quantize.nets import run
from tests.compression.toys import trained


@pytest.fixture(scope="module")
def case() -> tuple[Graph, Task, Choices, dict[str, Affine]]:
    """A trained net whose weights get 4 bits, in groups so large that it hurts."""
    task = trained()
    graph = folded(capture_batched(task.model, EXAMPLE))
    return graph, task, everywhere(graph, "weight4"), calibrate(graph, task, observer="minmax")


Case = tuple[Graph, Task, Choices, dict[str, Affine]]
GROUP = 256


def unlike(graph: Graph, other: Graph, x: Tensor) -> float:
    return float(divergence(run(other, x), run(graph, x)))


def loss_of(task: Task, graph: Graph) -> float:
    return float(task.loss(run(graph, task.eval_data.x), task.eval_data.y))  # type: ignore[attr-defined]


def test_labels_train_the_levels(case: Case) -> None:
    graph, task, choices, ranges = case
    untrained = fresh(graph, 0)
    found = finetuned(untrained, task, choices, ranges, epochs=3, lr=0.05, group=GROUP)
    after = quantized(found.graph, choices, ranges, scales=found.scales, group=GROUP)
    assert loss_of(task, after) < 0.5 * loss_of(task, quantized(untrained, choices, ranges, group=GROUP))


def test_a_teacher_needs_no_labels(case: Case) -> None:
    graph, task, choices, ranges = case
    unlabelled = replace(task, train_data=[(x, None) for x, _ in task.train_data], loss=_never, metric=_never)
    x = task.eval_data.x  # type: ignore[attr-defined]
    before = unlike(graph, quantized(graph, choices, ranges, group=GROUP), x)
    for distance, lr in ((partial(divergence, temperature=4.0), 0.02), (squared, 0.001)):
        found = finetuned(
            graph, unlabelled, choices, ranges, epochs=4, lr=lr, loss="distillation", distance=distance, group=GROUP
        )
        after = quantized(found.graph, choices, ranges, scales=found.scales, group=GROUP)
        assert unlike(graph, after, x) < 0.7 * before


def _never(*_: Any) -> Any:
    raise AssertionError("distillation asked for the task's loss or metric")


def test_the_simulation_that_was_trained_is_the_integer_graph(case: Case) -> None:
    graph, task, _, ranges = case
    choices = everywhere(graph, "int8p")
    seen: list[float] = []
    found = finetuned(
        graph,
        task,
        choices,
        ranges,
        epochs=1,
        lr=0.005,
        loss="both",
        on_epoch=lambda _, facts: seen.append(facts["metric"]),
    )
    after = quantized(found.graph, choices, ranges, scales=found.scales)
    x = task.eval_data.x  # type: ignore[attr-defined]
    assert (run(after, x) - run(found.graph, x)).norm() < 0.05 * run(found.graph, x).norm()
    assert seen[0] > 0.9


def test_the_loss_is_the_sum_and_the_metric_the_task_s(case: Case) -> None:
    graph, task, _, _ = case
    teacher = GraphModel(graph).train()
    both, alone = (taught(task, teacher, loss) for loss in ("both", "distillation"))  # type: ignore[arg-type]
    (inputs, answers) = next(iter(both.train_data))
    target, answer = answers
    assert teacher.training  # was only evaluated
    torch.testing.assert_close(answer, run(graph, inputs[0]))
    output = torch.randn_like(answer)
    torch.testing.assert_close(both.loss(output, answers), task.loss(output, target) + divergence(output, answer))
    torch.testing.assert_close(alone.loss(output, answers), divergence(output, answer))
    assert both.metric(output, answers) == task.metric(output, target)
    assert taught(task, teacher, "task") is task


def test_the_data_keeps_its_order_and_its_length(case: Case) -> None:
    _, task, _, _ = case
    data: Any = taught(task, task.model, "distillation").train_data
    first, again = ([batch[0][0] for batch in _epoch(data, number)] for number in (3, 3))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert operator.length_hint(data) == len(first)


def _epoch(data: Any, number: int) -> Any:
    data.set_epoch(number)
    return data


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_divergence_is_torch_s(temperature: float) -> None:
    p, q = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    soft: Callable[[Tensor], Tensor] = lambda x: torch.log_softmax(x / temperature, 1)  # noqa: E731
    wanted = torch.nn.functional.kl_div(soft(q), soft(p), log_target=True, reduction="batchmean") * temperature**2
    torch.testing.assert_close(divergence(q, p, temperature), wanted)
    assert float(divergence(p, p, temperature)) == pytest.approx(0.0, abs=1e-6)


def test_an_unknown_loss_lists_the_known(case: Case) -> None:
    _, task, _, _ = case
    with pytest.raises(TaskError, match=r"^the loss 'kl' is unknown; choose from task, distillation, both$"):
        taught(task, task.model, "kl")  # type: ignore[arg-type]
