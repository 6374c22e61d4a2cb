from __future__ import annotations

import copy
import functools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.compiler.assemble import program_memory
from hwaware.compression import compress as verbs
from hwaware.compression.aims import USUAL_ROOM
from hwaware.compression.budget import Budget
from hwaware.compression.channel_values import AUTO, GAMMA
from hwaware.compression.compress import Result
from hwaware.compression.prepare import Selection
from hwaware.compression.regulariser import Regulariser
from hwaware.compression.search import Options
from hwaware.compression.task import ExtraLoss, Task, evaluate
from hwaware.compression.train import fit
from hwaware.costs.model import CostModel
from hwaware.errors import ArtifactError, BudgetError, HwawareError, MissingCostError, ModelError
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.profiling.variants import widened
from tests.compression.morphnets import EXAMPLE, TARGET
from tests.compression.tables import table_of
from tests.compression.toys import captured, table, trained

EPOCHS = 8
compress = functools.partial(verbs.compress, method=verbs.MORPHNET)


@functools.cache
def compressed(budget: str, seed: int = 0) -> Result:
    return compress(captured(), table(), Budget.parse(budget), seed=seed, epochs=EPOCHS)


@pytest.mark.parametrize("share", [75, 50])
def test_the_budget_is_met_and_used(share: int) -> None:
    result = compressed(f"latency={share}%")
    limit = share / 100 * result.baseline_cost.latency_ms
    assert 0.8 * limit <= result.cost.latency_ms <= limit
    assert result.metric >= result.baseline_metric - 0.05
    assert result.metric == evaluate(trained(), result.model)
    assert result.baseline_metric == evaluate(trained(), trained().model)


def test_the_prediction_is_that_of_the_model_that_comes_out() -> None:
    result = compressed("latency=50%")
    for model, cost in ((result.model, result.cost), (result.baseline, result.baseline_cost)):
        program = lower(capture(model, EXAMPLE))
        again = CostModel(table()).predict(program, program_memory(program, TARGET, table().choices))
        assert again == cost


def test_the_plan_says_which_channels_stayed() -> None:
    result = compressed("latency=50%")
    assert result.plan.changed
    weights = dict(result.model.named_parameters())
    for group in result.plan.groups:
        assert len(group.kept) == group.after <= group.before
        if group.after:
            assert group.per_channel_ms > 0
            assert weights[f"{group.name}.weight"].shape[0] == group.after
    saved = sum(layer.before_ms - layer.after_ms for layer in result.plan.layers)
    assert saved == pytest.approx(result.baseline_cost.latency_ms - result.cost.latency_ms, rel=1e-9)
    assert result.plan.fixed == {"fc": "an output of the model"}


def test_strength_finds_itself_and_reaches_the_budget_while_training() -> None:
    """Of which shrinking covers half of the way."""
    result = compressed("latency=50%")
    history, whole = result.plan.history, result.baseline_cost.latency_ms
    limit = math.sqrt(whole * result.plan.limits["latency"] / (1 + USUAL_ROOM))
    assert history[0]["latency_ms"] > limit
    assert history[-1]["latency_ms"] <= limit
    assert history[-1]["strength"] == history[-1]["distance"] == 0
    # It did not overshoot by much either.
    assert history[-1]["latency_ms"] > 0.8 * limit


def test_the_same_seed_gives_the_same_model_and_another_one_another() -> None:
    first, (again, _), other = compressed("latency=75%"), once_more(), compressed("latency=75%", 1)
    assert first.plan == again.plan
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(again), strict=True))
    assert any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(weights(first), weights(other), strict=True))


def weights(result: Result) -> list[torch.Tensor]:
    return list(result.model.state_dict().values())


@functools.cache
def once_more() -> tuple[Result, list[tuple[str, int, int]]]:
    """The same from the model as it was written, and what was told on the way; nothing else may have changed."""
    before = copy.deepcopy(trained().model.state_dict())
    told: list[tuple[str, int, int]] = []
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    budget = Budget.parse("latency=75%")
    result = compress(trained(), table(), budget, epochs=EPOCHS, on_progress=lambda *facts: told.append(facts[:3]))
    assert torch.equal(torch.rand(1), expected)
    after = trained().model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    return result, told


def test_neither_the_task_nor_the_random_state_is_touched() -> None:
    once_more()


def test_size_and_memory_have_budgets_too() -> None:
    result = compress(captured(), table(), Budget(size="60%", memory="80%"), epochs=4)
    size = result.cost.memory_bytes["weights"]
    assert 0.5 < size / result.baseline_cost.memory_bytes["weights"] <= 0.6
    memory = size + result.cost.memory_bytes["arena"]
    assert memory <= 0.8 * sum(result.baseline_cost.memory_bytes.values())


def test_a_model_within_the_budget_comes_back_as_it_is() -> None:
    result = compress(captured(), table(), Budget(latency="100%"), epochs=4)
    assert result.model is result.baseline
    assert not result.plan.changed
    assert "within the budget" in result.plan.note
    x = torch.randn(3, *EXAMPLE[0].shape[1:])
    with torch.no_grad():
        torch.testing.assert_close(result.model(x), trained().model.eval()(x))


def test_an_unreachable_budget_names_the_nearest_one_which_then_is_reached() -> None:
    with pytest.raises(BudgetError, match="latency=2% cannot be reached") as caught:
        compress(captured(), table(), Budget(latency="2%"), epochs=4)
    nearest = str(caught.value).split("ask for ")[1].split(" or more")[0]
    result = compress(captured(), table(), Budget.parse(nearest), epochs=4)
    assert result.cost.latency_ms <= result.plan.limits["latency"]


def test_a_training_loop_of_the_users_own_is_enough() -> None:
    calls = []

    def own(model: nn.Module, extra: ExtraLoss) -> None:
        stepper = torch.optim.Adam(model.parameters(), lr=0.01)
        model.train()
        for _ in range(12):
            for x, y in trained().train_data:
                stepper.zero_grad()
                (nn.functional.cross_entropy(model(x), y) + extra(model)).backward()
                stepper.step()
        calls.append(sum(p.numel() for p in model.parameters()))

    task = replace(captured(), fit=own)
    result = compress(task, table(), Budget(latency="60%"))
    assert result.cost.latency_ms <= result.plan.limits["latency"]
    assert result.metric >= result.baseline_metric - 0.05
    assert calls[0] > calls[1]  # shrinking, then fine-tuning what is left


def broken(model: nn.Module) -> Task:
    task: Task = replace(trained(), model=model)
    return task


def test_nan_weights_are_refused_before_anything_is_done() -> None:
    model = copy.deepcopy(trained().model)
    next(model.parameters()).data[0] = torch.nan
    with pytest.raises(ModelError, match="NaN"):
        compress(broken(model), table(), Budget(latency="60%"))


def test_a_model_without_batch_norm_is_refused_where_its_scales_are_asked_for() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))
    known = table_of(capture(model, EXAMPLE))
    with pytest.raises(ModelError, match="BatchNorm"):
        compress(broken(model), known, Budget(latency="60%"), options=Options(Selection(GAMMA)))


@pytest.mark.parametrize(("kind", "regulariser"), [("lasso", "flops"), ("gate", "activations")])
def test_other_kinds_of_channel_values_meet_the_budget_too(kind: str, regulariser: str) -> None:
    result = driven("latency=60%", regulariser, kind, epochs=5, least=0.8)
    assert result.metric >= result.baseline_metric - 0.05


@pytest.mark.parametrize("regulariser", ["memory", "size", "roofline", "latency=1,size=0.2"])
def test_any_cost_can_drive_the_search(regulariser: str) -> None:
    driven("latency=70%", regulariser, AUTO, epochs=2)


def driven(budget: str, regulariser: str, kind: str, epochs: int, least: float = 0.9) -> Result:
    """Within the budget and near to it."""
    options = Options(Selection(kind), Regulariser.parse(regulariser))
    result = compress(captured(), table(), Budget.parse(budget), options=options, epochs=epochs)
    assert least * result.plan.limits["latency"] <= result.plan.after.latency <= result.plan.limits["latency"]
    return result


def test_flops_have_a_budget() -> None:
    result = compress(captured(), table(), Budget(flops="50%"), epochs=4)
    assert 0.45 * result.plan.before.flops <= result.plan.after.flops <= 0.5 * result.plan.before.flops


def test_rounds_grow_what_is_worth_it_beyond_its_width() -> None:
    """MorphNet's expansion: with a table of wider layers some group ends wider than it began."""
    task = trained()
    wide = table_of(widened(capture(task.model, EXAMPLE), 2.0))
    options = Options(Selection(grow=2.0), rounds=2, overshoot=0.6)
    result = compress(task, wide, Budget(latency="80%"), options=options, epochs=8)
    assert result.plan.after.latency <= result.plan.limits["latency"]
    assert any(group.after > group.before for group in result.plan.groups)
    assert all(len(group.kept) <= min(group.before, group.after) for group in result.plan.groups)
    shapes = {name: tensor.shape for name, tensor in result.model.graph.tensors.items()}
    assert shapes["stem.0.weight"][0] == next(group.after for group in result.plan.groups if group.name == "stem.0")
    assert result.metric >= result.baseline_metric - 0.05


def test_the_structure_can_be_trained_from_scratch() -> None:
    tuned = compressed("latency=60%")
    anew = compress(captured(), table(), Budget(latency="60%"), epochs=EPOCHS, final="scratch")
    assert anew.plan.groups == tuned.plan.groups
    assert not torch.equal(anew.model.graph.tensors["fc.weight"], tuned.model.graph.tensors["fc.weight"])
    assert anew.metric > 0.5


def test_an_interrupted_search_goes_on_to_the_same_model(tmp_path: Path) -> None:
    """Interrupted twice, and in between nothing of it serves another budget."""
    whole, asked = compressed("latency=60%"), Budget(latency="60%")
    search = functools.partial(compress, captured(), table(), epochs=EPOCHS, checkpoints=tmp_path)
    for phase in ("shrink", "fine-tune"):

        def interrupt(name: str, done: int, total: int, note: str, phase: str = phase) -> None:
            if name == phase and done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            search(asked, on_progress=interrupt)
        assert any(tmp_path.rglob("*.safetensors"))
        with pytest.raises(ArtifactError, match="budget is"):
            search(Budget(latency="70%"))
    again = search(asked)
    assert again.plan == whole.plan
    assert all(torch.equal(one, other) for one, other in zip(weights(again), weights(whole), strict=True))


def test_layers_can_be_excluded() -> None:
    options = Options(Selection(exclude=("stem*",)))
    result = compress(captured(), table(), Budget(latency="80%"), options=options, epochs=2)
    assert "stem.0" not in {group.name for group in result.plan.groups}
    assert result.plan.fixed["stem.0"] == "excluded by the pattern stem*"


def test_a_table_of_another_model_is_missing_costs() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 5), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4))
    with pytest.raises(MissingCostError, match="no cost for conv2d"):
        compress(broken(model.eval()), table(), Budget(latency="60%"))


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(HwawareError, match="no method 'magic': choose one of joint, precision, morphnet"):
        compress(captured(), table(), Budget(latency="60%"), method="magic")


def test_progress_is_told() -> None:
    _, told = once_more()
    assert told == [*[("shrink", i, 3) for i in (1, 2, 3)], *[("fine-tune", i, 5) for i in (1, 2, 3, 4, 5)]]


def test_free_channels_come_back_alive() -> None:
    """Only latency of vectors counts: dead channels that cost nothing are kept, with scales that can train."""
    task = captured()
    graph = capture(task.model, EXAMPLE)
    free = table_of(graph, lambda work: 100.0 * (-(-work.output.shape[-1] // 8)), winograd=True)
    result = compress(task, free, Budget(latency="80%"), epochs=4)
    for group in result.plan.groups:
        assert group.after in {0, group.before} or group.after % 8 == 0
    for name, parameter in result.model.named_parameters():
        if name.endswith("1.weight") and parameter.dim() == 1:
            assert (parameter.abs() > 1e-4).all(), name


def test_fit_is_the_one_that_tasks_use() -> None:
    """The toy task itself can be trained further: nothing of it is consumed."""
    model = copy.deepcopy(trained().model)
    fit(model, trained(), epochs=1, lr=0.01)
    assert evaluate(trained(), model) > 0.8
