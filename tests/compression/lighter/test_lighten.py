"""Surgery, Net-Trim and codebooks as methods: from a trained net to a small file that computes what it says."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.compression.lighter.goal import Goal, Lighter
from hwaware.compression.lighter.ladder import most_times
from hwaware.compression.lighter.method import METHODS, lighten
from hwaware.compression.saved import load_result, save_lighter
from hwaware.compression.task import Task, evaluate
from hwaware.compression.train import fit
from hwaware.errors import ArtifactError, BudgetError, ModelError
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from hwaware.graph.store import ENCODED, load
from hwaware.zoo.batches import Batches
from tests.compiler.inprocess import AVX2, run_programs
from tests.compression.morphnets import EXAMPLE
from tests.compression.toys import captured, images

EPOCHS = 3


@functools.cache
def dense() -> Task:
    """Three dense layers; nobody may change it."""
    torch.manual_seed(0)
    pixels = EXAMPLE[0][0].numel()
    net = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 4))
    made: Task = replace(captured(), model=net, train_data=Batches(*images(512, 1), 64, seed=0), name="dense")
    fit(net, made, epochs=6, lr=0.1)
    return replace(made, model=GraphModel(capture_batched(net, EXAMPLE), EXAMPLE).eval())


GOALS = {"surgery": 6.0, "nettrim": 3.0, "codebook": 4.0}


@functools.cache
def made(method: str) -> Lighter:
    return lighten(dense(), Goal(times=GOALS[method]), method=method, epochs=EPOCHS)


def test_all_methods_are_tried() -> None:
    assert set(GOALS) == set(METHODS)


@pytest.mark.parametrize("method", GOALS)
def test_it_is_as_much_smaller_as_asked_and_still_right(method: str) -> None:
    result = made(method)
    found = result.size.times_bytes if method == "codebook" else result.size.times_parameters
    assert 0.9 * GOALS[method] <= found
    assert result.metric >= result.baseline_metric - 0.05
    assert result.metric == evaluate(dense(), result.model)
    assert {row.name for row in result.made.layers} <= {"linear", "linear_1", "linear_2"}


@pytest.mark.parametrize("method", GOALS)
def test_its_file_is_that_small_and_the_model_runs_compressed(method: str, tmp_path: Path) -> None:
    result = made(method)
    save_lighter(result, tmp_path / "out")
    size = (tmp_path / "out" / ENCODED).stat().st_size
    assert size < result.size.total.bytes_after + 4096  # the header
    model = load(tmp_path / "out")
    x = torch.randn(EXAMPLE[0].shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert torch.equal(model(x), result.model(x))
    program = lower(capture(model, EXAMPLE))
    stored = "stored=codebook" if method == "codebook" else "stored=sparse"
    assert any(stored in op.workload.key for op in program.ops)
    ((found,),) = run_programs([program], [(x,)], AVX2)
    torch.testing.assert_close(torch.from_numpy(found), model(x).detach(), rtol=1e-4, atol=1e-4)


def test_the_most_that_may_be_lost_is_kept_to() -> None:
    result = lighten(dense(), Goal(loss=0.02), method="codebook", epochs=1)
    assert result.metric >= result.baseline_metric - 0.02
    assert result.size.times_bytes > 2


def test_what_a_method_must_be_trained_for_is_tried_from_little_to_much() -> None:
    graph = capture_batched(nn.Linear(100, 100), (torch.randn(2, 100),))
    tried: list[float] = []

    def make(times: float) -> float:
        tried.append(times)
        return times

    times, best = most_times(make, lambda found: found <= 21, graph)
    assert times == best == max(each for each in tried if each <= 21)
    assert min(each for each in tried if each > 21) / best < 2
    assert tried[0] == 2
    with pytest.raises(BudgetError, match="allow a larger loss"):
        most_times(make, lambda found: False, graph)


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    def interrupt(phase: str, done: int, total: int, note: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    goal = Goal(times=GOALS["surgery"])
    with pytest.raises(KeyboardInterrupt):
        lighten(dense(), goal, epochs=EPOCHS, checkpoints=tmp_path, on_progress=interrupt)
    with pytest.raises(ArtifactError, match="goal is"):
        lighten(dense(), Goal(times=6.001), epochs=EPOCHS, checkpoints=tmp_path)
    again = lighten(dense(), goal, epochs=EPOCHS, checkpoints=tmp_path)
    for name, tensor in made("surgery").model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)


def test_what_became_of_it_is_told_in_its_folder(tmp_path: Path) -> None:
    result = made("surgery")
    save_lighter(result, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "model.json").read_text())["extra"]["lighter"]
    assert told == json.loads(json.dumps(result.document()))
    with pytest.raises(ArtifactError, match="plan"):
        load_result(tmp_path / "out")


@pytest.mark.parametrize(("times", "loss"), [(None, None), (2.0, 0.1), (1.0, None), (float("nan"), None), (None, -0.1)])
def test_goals_that_cannot_be_meant(times: float | None, loss: float | None) -> None:
    with pytest.raises(BudgetError):
        Goal(times, loss)


@pytest.mark.parametrize("method", GOALS)
def test_what_cannot_be_had_is_refused_in_one_line(method: str) -> None:
    with pytest.raises((BudgetError, ModelError)) as caught:
        lighten(dense(), Goal(times=1e6), method=method, epochs=EPOCHS)
    assert "\n" not in str(caught.value)
