from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from hwaware.compression.precision import for_metric
from hwaware.compression.task import evaluate
from hwaware.compression.train import fit
from hwaware.errors import TaskError
from tests.compression.test_train import accuracy, task, weights


def test_bfloat16_learns_with_weights_in_float32() -> None:
    types: set[torch.dtype] = set()

    def metric(output: Tensor, target: Tensor) -> float:
        types.add(output.dtype)
        return accuracy(output, target)

    half, full = task(metric=metric), task()
    half.model[0].register_forward_hook(lambda module, inputs, output: types.add(output.dtype))
    fit(half.model, half, epochs=25, lr=0.1, precision="bfloat16", on_epoch=lambda epoch, facts: None)
    assert types == {torch.bfloat16, torch.float32}
    assert {value.dtype for value in half.model.state_dict().values()} == {torch.float32, torch.int64}
    assert evaluate(full, half.model) > 93
    fit(full.model, full, epochs=25, lr=0.1)
    assert not torch.equal(weights(full.model), weights(half.model))


def test_precisions_that_cannot_be() -> None:
    circle = task()
    with pytest.raises(TaskError, match=r"^float16 trains on CUDA devices only, the model is on cpu: choose bfloat16$"):
        fit(circle.model, circle, epochs=1, lr=0.1, precision="float16")
    wrong: Any = "int8"
    with pytest.raises(TaskError, match="no precision 'int8': choose one of float32, bfloat16, float16"):
        fit(circle.model, circle, epochs=1, lr=0.1, precision=wrong)


@pytest.mark.gpu
def test_float16_learns_on_a_gpu() -> None:
    circle = task()
    trained = circle.model.cuda()
    fit(trained, circle, epochs=25, lr=0.1, precision="float16")
    assert {p.dtype for p in trained.parameters()} == {torch.float32}
    assert evaluate(circle, trained.cpu()) > 93


def test_a_metric_sees_nested_outputs_without_gradients_in_float32() -> None:
    half = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    found = for_metric({"logits": half, "parts": (half, [half.int(), "name"])})
    assert found["logits"].dtype is torch.float32
    assert not found["logits"].requires_grad
    assert found["parts"][0].dtype is torch.float32
    assert found["parts"][1][0].dtype is torch.int32
    assert found["parts"][1][1] == "name"
