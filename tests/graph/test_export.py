"""What is exported is taken as it is where nothing in it has to be taken apart, and means the same either way."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwaware.errors import UnsupportedOpError
from hwaware.graph import export
from hwaware.graph.capture import capture
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from tests.compiler.families import case

# Between them: norms, dropout, views that are copies, chunks, positions and masks made of nothing.
PLAIN = ("shuffle", "encoder", "attention", "flat", "unflat", "tokens", "mobile_v3")
_SAME = {"_unsafe_view.default": "view.default"}


def kinds(graph: Graph) -> Counter[str]:
    """How many of each operator; a copy does nothing."""
    return Counter(_SAME.get(node.op, node.op) for node in graph.nodes if node.op != "clone.default")


def outputs(graph: Graph, *inputs: Tensor) -> list[Tensor]:
    with torch.no_grad():
        found = GraphModel(graph).eval()(*inputs)
    return list(found) if isinstance(found, tuple) else [found]


@pytest.mark.parametrize("name", PLAIN)
def test_nothing_is_taken_apart_and_it_means_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = case(name, 1)
    with monkeypatch.context() as patch:
        patch.setattr(export, "_decomposed", lambda program: pytest.fail("it was taken apart"))
        direct = capture(made.module, made.inputs)
    monkeypatch.setattr(export, "_is_plain", lambda program: False)
    apart = capture(made.module, made.inputs)
    assert kinds(direct) == kinds(apart)
    for found, wanted in zip(outputs(direct, *made.inputs), outputs(apart, *made.inputs), strict=True):
        assert torch.equal(found, wanted)


class InPlace(nn.Module):
    """Written over: an activation, and what it is added to."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(x * 2, inplace=True)
        y += x
        return y


class OwnStatistics(nn.Module):
    """A norm by the statistics of what it is given, called by keywords."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.batch_norm(
            x, weight=None, bias=None, running_mean=None, running_var=None, training=True, momentum=0.1, eps=1e-3,
            cudnn_enabled=False,
        )  # fmt: skip


class ByKeywords(nn.Module):
    """A norm called by keywords, and one dimension flattened, which changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.5, -1.0, 2.0]))
        self.register_buffer("var", torch.tensor([0.5, 1.0, 2.0]))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.batch_norm(
            x, weight=None, bias=None, running_mean=self.mean, running_var=self.var, training=False, momentum=0.1,
            eps=1e-3, cudnn_enabled=False,
        )  # fmt: skip
        return F.dropout(y, 0.5, training=False).flatten(1, 1).contiguous()


@pytest.mark.parametrize("module", [InPlace(), ByKeywords()])
def test_it_computes_what_pytorch_does(module: nn.Module) -> None:
    value = torch.randn(2, 3, 4, 4)
    (found,) = outputs(capture(module, (value,)), value)
    assert torch.allclose(found, module(value.clone()), atol=1e-6)


def test_a_norm_by_the_statistics_of_its_input_is_refused() -> None:
    """Also in evaluation mode: it is none of those that are folded into a convolution."""
    with pytest.raises(UnsupportedOpError, match="no_stats"):
        capture(OwnStatistics(), (torch.randn(2, 3, 4, 4),))


def test_what_changes_nothing_is_no_operation() -> None:
    graph = capture(ByKeywords(), (torch.randn(2, 3, 4, 4),))
    assert kinds(graph) == {"_native_batch_norm_legit_no_training.default": 1}


class Unused(nn.Module):
    """Half of what it computes is not returned."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        F.relu(self.unused(x))
        return self.used(x)


def test_what_nobody_reads_is_not_there() -> None:
    graph = capture(Unused(), (torch.randn(1, 4),))
    assert [node.path for node in graph.nodes] == ["used"]
    assert set(graph.tensors) == {"used.weight", "used.bias"}
