"""d and k chosen for bytes are the best there are; for an accuracy they are small."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.compression.codebook.automatic import forms_for_accuracy, forms_for_bytes
from hwaware.compression.codebook.calibration import calibration
from hwaware.compression.codebook.candidates import Candidate, candidates, unbeaten
from hwaware.compression.codebook.choose import coded_with, for_accuracy, for_bytes, forms_of
from hwaware.compression.codebook.coded import coded_bytes, rebuilt
from hwaware.compression.codebook.layers import checked, found
from hwaware.compression.codebook.layerwise import Coding
from hwaware.compression.codebook.method import Settings, coded_network
from hwaware.compression.codebook.report import size_of
from hwaware.compression.codebook.tune import GlobalTuning, LayerTuning
from hwaware.errors import BudgetError
from hwaware.graph.ir import Graph
from hwaware.zoo.tasks import accuracy as zoo_accuracy
from tests.compression.codebook.nets import images, net, run, task_of

POINTS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 100)), min_size=1, max_size=5)


@settings(deadline=None, max_examples=25)
@given(st.lists(POINTS, min_size=1, max_size=4), st.integers(0, 160))
def test_the_choice_is_that_of_all_combinations(points: list[list[tuple[int, int]]], budget: int) -> None:
    options = {str(i): [Candidate(b, e / 7) for b, e in listed] for i, listed in enumerate(points)}
    possible = [c for c in itertools.product(*options.values()) if sum(one.bytes for one in c) <= budget]
    if not possible:
        with pytest.raises(BudgetError, match="the least is"):
            for_bytes(options, budget)
        return
    chosen = for_bytes(options, budget)
    assert list(chosen) == list(options)
    assert all(chosen[name] in options[name] for name in options)
    assert sum(c.bytes for c in chosen.values()) <= budget
    best = min(sum(one.error for one in c) for c in possible)
    assert sum(c.error for c in chosen.values()) == pytest.approx(best)


@pytest.fixture(scope="module")
def options() -> dict[str, tuple[Candidate, ...]]:
    graph = net()
    return candidates(graph, calibration(graph, task_of(graph)), how=Coding(steps=3, rounds=1))


def test_candidates_are_measured_and_unbeaten(options: dict[str, tuple[Candidate, ...]]) -> None:
    graph = net()
    assert list(options) == [layer.name for layer in found(graph).layers]
    for layer in found(graph).layers:
        listed = options[layer.name]
        assert len(listed) >= 2
        assert all(a.bytes < b.bytes and a.error > b.error for a, b in itertools.pairwise(listed))
        assert (listed[-1].layer, listed[-1].bytes, listed[-1].error) == (None, 4 * layer.weights, 0)
        for option in listed[:-1]:
            assert option.form is not None
            assert option.bytes == coded_bytes(layer.weights, option.form.d, option.form.k)
            checked(layer, option.form)


def test_what_is_beaten_is_left_out() -> None:
    kept = unbeaten([Candidate(3, 1), Candidate(1, 2), Candidate(2, 2), Candidate(2, 3), Candidate(1, 5)])
    assert [(c.bytes, c.error) for c in kept] == [(1, 2), (3, 1)]


def accuracy(graph: Graph) -> float:
    x = images(100, 4242)
    return float((run(graph, x).argmax(1) == torch.arange(100) % 10).float().mean())


def test_more_bytes_mean_less_error_and_a_graph_of_those_codewords(options: dict[str, tuple[Candidate, ...]]) -> None:
    graph = net()
    budgets = [6_000, 12_000, 24_000]
    chosen = [for_bytes(options, budget) for budget in budgets]
    errors = [sum(c.error for c in choice.values()) for choice in chosen]
    assert errors == sorted(errors, reverse=True)
    made = coded_with(graph, chosen[0])
    for name, form in forms_of(chosen[0]).items():
        layer = chosen[0][name].layer
        assert layer is not None
        assert layer.form == form
        assert torch.equal(made.tensors[layer.weight], rebuilt(layer))


def test_an_accuracy_is_reached_with_few_bytes(options: dict[str, tuple[Candidate, ...]]) -> None:
    graph = net()

    def size(least: float) -> float:
        chosen = for_accuracy(graph, options, accuracy, least)
        assert accuracy(coded_with(graph, chosen)) >= least
        return sum(c.bytes for c in chosen.values())

    dense = sum(options[name][-1].bytes for name in options)
    assert size(0.5) < size(0.97) < dense / 2
    assert size(0.0) == sum(options[name][0].bytes for name in options)


def test_forms_for_bytes_make_a_network_of_that_size() -> None:
    graph = net()
    dense = size_of(graph, []).dense
    forms = forms_for_bytes(graph, task_of(graph), dense / 6, batches=2, how=Coding(steps=1, rounds=0))
    made = coded_network(graph, task_of(graph), forms, settings=Settings(Coding(1, 0, LayerTuning(0)), GlobalTuning(0)))
    assert 0.8 * dense / 6 < made.size.total <= dense / 6
    with pytest.raises(BudgetError, match=r"^codebooks cannot make the model 100 bytes small; ask for at least \d+$"):
        forms_for_bytes(graph, task_of(graph), 100, batches=2, how=Coding(steps=1, rounds=0))


def test_forms_for_accuracy_lose_no_more_of_the_tasks_metric() -> None:
    graph = net()
    labelled = [(images(100, 4242), torch.arange(100) % 10)]
    task = replace(task_of(graph), eval_data=labelled, metric=zoo_accuracy)
    how = Coding(steps=2, rounds=1, tuning=LayerTuning(0))
    few, many = (forms_for_accuracy(graph, task, lost, batches=2, how=how) for lost in (0.6, 0.02))
    sizes = [coded_network(graph, task, forms, settings=Settings(how, GlobalTuning(0))).size for forms in (few, many)]
    assert sizes[0].total < sizes[1].total < sizes[1].dense


def test_an_accuracy_that_the_model_does_not_have_is_one_line(options: dict[str, tuple[Candidate, ...]]) -> None:
    with pytest.raises(BudgetError, match=r"^the model reaches \S+ before it is coded, less than the 1.5 asked for$"):
        for_accuracy(net(), options, accuracy, 1.5)
