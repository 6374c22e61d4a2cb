from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.compression.budget import Budget
from hwaware.compression.compress import Result, compress
from hwaware.compression.finish import SAME
from hwaware.compression.plan import Plan
from hwaware.compression.predicted import predicted
from hwaware.compression.quantize.choices import Precision
from hwaware.compression.quantize.recover import TOLERANCE
from hwaware.compression.search import Options
from hwaware.compression.task import Task, evaluate
from hwaware.compression.train import fit
from hwaware.costs.model import CostModel
from hwaware.costs.table import CostTable
from hwaware.errors import BudgetError
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from hwaware.reports.precision_table import precision_lines
from hwaware.zoo.batches import Batches
from tests.compiler.inprocess import run_programs
from tests.compression.morphnets import EXAMPLE, TARGET, conv
from tests.compression.tables import integers_pay, table_of
from tests.compression.toys import captured, images, trained
from tests.compression.toys import table as floats_only

EPOCHS = 3


class Pair(nn.Sequential):
    """Two convolutions and a head over a 2×2 map: for what does not depend on how layers meet."""

    def __init__(self) -> None:
        head = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12 * 4, 4))
        super().__init__(conv(3, 16), nn.ReLU(), conv(16, 12), nn.ReLU(), *head)


@functools.cache
def task() -> Task:
    """In large batches: each step of a search solves anew."""
    made: Task = replace(captured(), train_data=Batches(*images(512, 1), 256, seed=0))
    return made


@functools.cache
def pair() -> Task:
    """The same with a smaller net; nobody may change it."""
    torch.manual_seed(0)
    net = Pair()
    fit(net, trained(), epochs=3, lr=0.1)
    made: Task = replace(task(), model=GraphModel(capture_batched(net, EXAMPLE), EXAMPLE).eval())
    return made


@functools.cache
def table(task: Task) -> CostTable:
    return table_of(capture(task.model, EXAMPLE), integers_pay, precisions=("int8p", "weight8"))


@functools.cache
def jointly(task: Task, budget: str) -> Result:
    return compress(task, table(task), Budget.parse(budget), epochs=EPOCHS)


@functools.cache
def precisely(budget: str) -> Result:
    return compress(task(), table(task()), Budget.parse(budget), method="precision")


def integer_layers(result: Result) -> list[str]:
    return [node.name for node in result.model.graph.nodes if node.op in ("hwaware.conv2d", "hwaware.linear")]


def test_widths_and_precisions_meet_the_budget_together() -> None:
    result = jointly(task(), "latency=35%")
    assert result.plan.method == "joint"
    assert result.plan.after.latency <= result.plan.limits["latency"]
    assert integer_layers(result)
    assert any(group.after < group.before for group in result.plan.groups)
    assert result.metric >= result.baseline_metric - 0.05
    assert result.metric == evaluate(task(), result.model)
    assert result.model(torch.randn(3, *EXAMPLE[0].shape[1:])).shape == (3, 4)


def test_what_comes_out_runs_in_integers_and_computes_what_pytorch_does() -> None:
    model = jointly(task(), "latency=35%").model
    x = torch.randn(EXAMPLE[0].shape, generator=torch.Generator().manual_seed(7))
    program = lower(capture(model, EXAMPLE))
    assert any(spec.dtype == "uint8" for op in program.ops for spec in op.input_specs)
    ((found,),) = run_programs([program], [(x,)], TARGET)
    assert torch.allclose(torch.as_tensor(found), model(x), rtol=0, atol=1e-4)


def test_a_mild_budget_is_met_by_precisions_alone() -> None:
    """As integers are almost free here: no channel has to go."""
    result = jointly(pair(), "latency=75%")
    assert integer_layers(result)
    assert all(group.after == group.before for group in result.plan.groups)


def test_the_plan_says_why() -> None:
    result = jointly(task(), "latency=35%")
    plan = result.plan
    chosen = {layer.name: layer for layer in plan.precisions}
    assert sorted(name for name, layer in chosen.items() if layer.precision == "int8p") == sorted(
        integer_layers(result)
    )
    for layer in plan.precisions:
        assert set(layer.own_ms) == set(layer.loss) == {"float32", "int8p", "weight8"}
        assert layer.change_ms[layer.precision] == 0
        assert layer.loss["float32"] == 0
    assert plan.recovery
    assert [each.chosen for each in plan.finalists].count(True) == 1
    assert [point.latency_ms for point in plan.front] == sorted((p.latency_ms for p in plan.front), reverse=True)
    assert [point.loss for point in plan.front] == sorted(point.loss for point in plan.front)
    lines = "\n".join(precision_lines(plan))
    assert all(layer.path in lines for layer in plan.precisions)
    assert "chosen" in lines


def test_what_another_precision_would_change_is_what_the_table_says() -> None:
    """The whole net lowered with one layer in the other precision, all others as they are."""
    result = precisely("latency=70%")
    source = CostModel(table(task()), beyond=False)
    chosen: dict[str, Precision] = {
        layer.name: "int8p" for layer in result.plan.precisions if layer.precision == "int8p"
    }
    assert chosen
    here = predicted(result.baseline, source, chosen)[1].latency
    assert here == pytest.approx(result.plan.after.latency, rel=1e-9)
    for layer in result.plan.precisions:
        others: dict[str, Precision] = {name: each for name, each in chosen.items() if name != layer.name}
        if layer.precision == "float32":
            others[layer.name] = "int8p"
        there = predicted(result.baseline, source, others)[1].latency
        other = "int8p" if layer.precision == "float32" else "float32"
        assert layer.change_ms[other] == pytest.approx(there - here, rel=1e-6, abs=1e-9)


def test_the_plan_is_read_as_it_was_written() -> None:
    plan = jointly(task(), "latency=35%").plan
    assert Plan.from_document(json.loads(json.dumps(plan.document())), "model.json") == plan


def test_precisions_alone_leave_widths_and_weights() -> None:
    result = precisely("latency=70%")
    assert integer_layers(result)
    assert result.plan.groups == ()
    assert result.plan.after.flops == result.plan.before.flops
    assert result.plan.after.size < 0.7 * result.plan.before.size


def test_a_table_without_integers_changes_widths_only() -> None:
    result = compress(trained(), floats_only(), Budget.parse("latency=60%"), epochs=EPOCHS)
    assert not integer_layers(result)
    assert any(group.after < group.before for group in result.plan.groups)
    assert result.plan.after.latency <= result.plan.limits["latency"]


def test_precisions_that_were_not_asked_for_stay_away() -> None:
    options = Options(precisions=("weight8",))
    result = compress(pair(), table(pair()), Budget.parse("size=50%"), epochs=EPOCHS, options=options)
    assert not integer_layers(result)
    assert {layer.precision for layer in result.plan.precisions} == {"float32", "weight8"}


def refusal(budget: str) -> str:
    with pytest.raises(BudgetError, match="ask for") as refused:
        precisely(budget)
    return str(refused.value)


@pytest.mark.parametrize("budget", ["size=2%", "latency=20%,memory=16%"])
def test_what_cannot_be_had_is_refused_with_what_can(budget: str) -> None:
    assert "\n" not in refusal(budget)


def test_the_nearest_budget_that_was_named_is_reached() -> None:
    said = refusal("latency=3%")
    assert "\n" not in said
    nearest = said.rpartition("ask for ")[2].removesuffix(" or more")
    result = precisely(nearest)
    assert result.plan.after.latency <= result.plan.limits["latency"]


def test_an_interrupted_search_ends_as_one_that_was_not(tmp_path: Path) -> None:
    def interrupt(phase: str, done: int, total: int, note: str) -> None:
        if phase == "fine-tune" and done == 1:
            raise KeyboardInterrupt

    budget = Budget.parse("latency=35%")
    with pytest.raises(KeyboardInterrupt):
        compress(pair(), table(pair()), budget, epochs=EPOCHS, checkpoints=tmp_path, on_progress=interrupt)
    again = compress(pair(), table(pair()), budget, epochs=EPOCHS, checkpoints=tmp_path)
    whole = jointly(pair(), "latency=35%")
    assert again.plan == whole.plan
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)


class Stopwatch:
    """Milliseconds for the model that went in, then for each finalist."""

    def __init__(self, *times: float) -> None:
        self.times, self.seen = times, 0

    def __call__(self, models: Sequence[GraphModel]) -> list[float]:
        self.seen = len(models)
        return [self.times[min(index, len(self.times) - 1)] for index in range(len(models))]


def test_nothing_that_was_measured_slower_is_handed_over() -> None:
    slower = Stopwatch(1.0, 1.01)
    result = compress(task(), table(task()), Budget.parse("latency=70%"), method="precision", measure=slower)
    assert slower.seen >= 2
    assert not integer_layers(result)
    assert result.model is result.baseline
    assert "unchanged" in result.plan.note


def test_of_finalists_within_the_measured_budget_the_least_loss_wins() -> None:
    timed = Stopwatch(1.0, 0.9, 0.6)
    result = compress(task(), table(task()), Budget.parse("latency=70%"), method="precision", measure=timed)
    finalists = result.plan.finalists
    assert timed.seen == 1 + len(finalists)
    winner = next(each for each in finalists if each.chosen)
    fitting = [each for each in finalists if each.measured_ms is not None and each.measured_ms <= 0.7]
    assert winner in (fitting or finalists)
    assert all(winner.loss <= each.loss + max(SAME, TOLERANCE * each.loss) for each in fitting)
    assert "measured" in result.plan.note


def test_a_budget_in_milliseconds_is_one_of_the_clock() -> None:
    """Not of what was predicted: here everything takes a thousand times as long."""
    whole = precisely("latency=70%").plan.before.latency
    budget = Budget.parse(f"latency={1e3 * 0.7 * whole:.6f}us")
    timed = Stopwatch(1e3 * whole, 0.9e3 * whole)
    result = compress(task(), table(task()), budget, method="precision", measure=timed)
    assert result.plan.note.startswith("measured 90.0%")
    assert next(each for each in result.plan.finalists if each.chosen).measured_ms == pytest.approx(900 * whole)


def test_labels_are_not_looked_at_where_outputs_say_what_is_lost() -> None:
    budget = Budget.parse("latency=75%")
    unlabelled = [(x, None) for x, _ in pair().train_data]
    blind = replace(pair(), train_data=unlabelled, loss=lambda output, target: 0 * output.sum())
    result = compress(blind, table(pair()), budget, method="precision", options=Options(sensitivity="outputs"))
    assert integer_layers(result)
    assert any(max(layer.loss.values()) > 0 for layer in result.plan.precisions)
