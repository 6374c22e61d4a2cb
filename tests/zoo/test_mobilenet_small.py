"""The small MobileNetV2 fits small images, trains on them and can be narrowed."""

from __future__ import annotations

import pytest
import torch

from hwaware.compression.task import evaluate
from hwaware.compression.train import fit
from hwaware.graph.arithmetic import multiply_adds
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.channels import channel_groups
from hwaware.graph.lower import lower
from hwaware.graph.slicing import masked, slice_graph
from hwaware.zoo import build, recipe
from hwaware.zoo.tasks import zoo_task
from tests.graph.test_slicing import assert_close, outputs


@pytest.mark.parametrize(("size", "ends"), [(16, 4), (28, 7), (32, 8)])
def test_small_images_end_as_a_few_pixels(size: int, ends: int) -> None:
    module, inputs = build("mobilenet_v2_small", (1, size, size))
    assert module.features(inputs[0]).shape[2:] == (ends, ends)


def test_costs_a_few_million_multiply_adds() -> None:
    module, inputs = build("mobilenet_v2_small")
    assert sum(multiply_adds(op.workload) for op in lower(capture(module, inputs)).ops) == 10_483_856


def test_shortcuts_and_expansions_are_groups_that_can_be_narrowed() -> None:
    module, inputs = build("mobilenet_v2_small", (1, 16, 16))
    graph = capture_batched(module, inputs)
    free = {group.name: group.size for group in channel_groups(graph) if group.pinned is None}
    assert sorted(free.values()) == [16, 24, 32, 64, 64, 64, 96, 144, 192, 192, 256, 384]
    keep = {name: range(0, size, 3) for name, size in free.items()}
    value = torch.randn(3, 1, 16, 16)
    assert_close(outputs(slice_graph(graph, keep), value), outputs(masked(graph, keep), value))


def test_a_fifth_of_the_recipe_already_trains_it_on_digits() -> None:
    task, how = zoo_task("mobilenet_v2_small", "digits"), recipe("mobilenet_v2_small", "digits")
    fit(task.model, task, epochs=how["epochs"] // 5, lr=how["lr"])
    assert evaluate(task, task.model) > 0.93
