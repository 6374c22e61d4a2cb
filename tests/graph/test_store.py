"""Models on disk: what was saved comes back bit for bit, and damage is one clear error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from hwaware.errors import ArtifactError
from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import channel_groups
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import slice_graph
from hwaware.graph.store import load, load_extra, save
from tests.graph.nets import NETS, SHAPE, captured


def model_of(name: str) -> GraphModel:
    return GraphModel(captured(name)[0]).eval()


@pytest.mark.parametrize("name", NETS)
def test_round_trip_is_bit_identical(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    save(model, tmp_path / "m", extra={"plan": [1, "two"]})
    again = load(tmp_path / "m")
    assert again.graph.nodes == model.graph.nodes
    assert (again.graph.inputs, again.graph.outputs) == (model.graph.inputs, model.graph.outputs)
    assert (again.graph.parameters, again.graph.batched) == (model.graph.parameters, True)
    assert all(torch.equal(again.graph.tensors[key], value) for key, value in model.graph.tensors.items())
    value = torch.randn(3, *SHAPE)
    assert torch.equal(again(value), model(value))
    assert not again.training
    assert load_extra(tmp_path / "m") == {"plan": [1, "two"]}
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_batch_of_the_example_inputs_survives(tmp_path: Path) -> None:
    net, inputs = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (torch.randn(1, 3, 6, 6),)
    graph = capture_batched(net, inputs)
    assert graph.inputs["input"].shape[0] != 1  # captured at other sizes, to find what depends on it
    save(GraphModel(graph, inputs), tmp_path / "model")
    assert [value.shape for value in load(tmp_path / "model").example_inputs] == [(1, 3, 6, 6)]


def test_a_sliced_model_round_trips(tmp_path: Path) -> None:
    graph = model_of("inverted").graph
    keep = {group.name: range(0, group.size, 2) for group in channel_groups(graph) if group.pinned is None}
    keep["expand.0"] = range(0)
    model = GraphModel(slice_graph(graph, keep)).eval()
    save(model, tmp_path / "m")
    value = torch.randn(3, *SHAPE)
    assert torch.equal(load(tmp_path / "m")(value), model(value))


def test_infinite_literals_and_masks_survive(tmp_path: Path) -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mask = torch.full((8, 8), float("-inf")).triu(1)
            return torch.clamp(x + mask, min=float("-inf"), max=2.0).softmax(-1)

    model = GraphModel(capture_batched(Net(), (torch.zeros(2, *SHAPE),))).eval()
    save(model, tmp_path / "m")
    value = torch.randn(2, *SHAPE)
    assert torch.equal(load(tmp_path / "m")(value), model(value))


def test_saving_replaces_a_model_but_nothing_else(tmp_path: Path) -> None:
    save(model_of("chain"), tmp_path / "m")
    save(model_of("flat"), tmp_path / "m")
    assert load(tmp_path / "m").graph.outputs == model_of("flat").graph.outputs
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="is not a model of hwaware: choose another directory"):
        save(model_of("chain"), tmp_path / "notes")
    assert (tmp_path / "notes" / "diary.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"m", "notes"}


def test_nothing_is_left_behind_by_a_failure(tmp_path: Path) -> None:
    broken = model_of("chain")
    broken.get_parameter("0.0.weight").data[0, 0, 0, 0] = float("nan")
    with pytest.raises(ArtifactError, match=r"'0.0.weight' holds NaN"):
        save(broken, tmp_path / "m")
    with pytest.raises(ArtifactError, match="extra cannot be written as JSON"):
        save(model_of("chain"), tmp_path / "m", extra={"x": object()})
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        save(model_of("chain"), tmp_path / "file" / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    """Change the weights and record their new hash, as one who means harm would."""

    def damage(directory: Path) -> None:
        tensors = load_file(directory / "weights.safetensors")
        change(tensors)
        save_file(tensors, directory / "weights.safetensors")
        rehash(directory)

    return damage


def rehash(directory: Path) -> None:
    digest = hashlib.sha256((directory / "weights.safetensors").read_bytes()).hexdigest()
    document(lambda body: body["weights"].update(sha256=digest))(directory)


def document(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        body = json.loads((directory / "model.json").read_text())
        change(body)
        (directory / "model.json").write_text(json.dumps(body))

    return damage


def node(**fields: Any) -> Callable[[Path], None]:
    return document(lambda body: body["graph"]["nodes"][0].update(fields))


def truncate(name: str, *, honest: bool = True) -> Callable[[Path], None]:
    def damage(directory: Path) -> None:
        path = directory / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        if not honest:
            rehash(directory)

    return damage


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no file": (lambda d: (d / "model.json").unlink(), r"model.json cannot be read"),
    "no weights": (lambda d: (d / "weights.safetensors").unlink(), r"weights.safetensors cannot be read"),
    "half a structure": (truncate("model.json"), r"model.json is not JSON"),
    "deep nesting": (lambda d: (d / "model.json").write_text("[" * 100_000), r"model.json is not JSON"),
    "half the weights": (truncate("weights.safetensors"), r"is not the file that model.json names"),
    "half, rehashed": (truncate("weights.safetensors", honest=False), r"weights.safetensors is corrupt"),
    "wrong hash": (
        document(lambda b: b["weights"].update(sha256="0" * 64)),
        r"is not the file that model.json names",
    ),
    "another file": (
        document(lambda b: b["weights"].update(file="../x")),
        r"is not the file that model.json names",
    ),
    "another kind": (document(lambda b: b.update(kind="table")), r"its kind is not 'hwaware-model'"),
    "later schema": (
        document(lambda b: b.update(schema_version=99)),
        r"schema version 99, this hwaware reads 1",
    ),
    "a field too many": (document(lambda b: b.update(more=1)), r"its fields are not"),
    "unknown operator": (node(op="system.default"), r"unknown operator 'system.default'"),
    "private operator": (node(op="__class__.default"), r"unknown operator"),
    "other arguments": (node(args={"input": {"ref": "x"}, "evil": 1}), r"its arguments are not those of"),
    "an object argument": (node(args={"input": {"pickle": "x"}}), r"neither a value nor a literal"),
    "argument of another type": (
        document(lambda b: b["graph"]["nodes"][0]["args"].update(stride="1; rm -rf /")),
        r"the graph cannot run",
    ),
    "a value before its node": (
        document(lambda b: b["graph"]["nodes"].reverse()),
        r"before it is defined",
    ),
    "a name twice": (
        document(lambda b: b["graph"]["nodes"].append(b["graph"]["nodes"][0])),
        r"is defined twice",
    ),
    "no outputs": (
        document(lambda b: b["graph"].update(outputs=["nothing"])),
        r"outputs is not a list of values",
    ),
    "impossible shape": (node(shape=[1 << 60, 1 << 60]), r"no possible shape"),
    "negative shape": (node(shape=[2, -8, 8, 8]), r"no possible shape"),
    "another shape": (node(shape=[2, 9, 8, 8]), r"yields .* not"),
    "foreign dtype": (node(dtype="complex64"), r"no possible shape and dtype"),
    "NaN weights": (weights(lambda t: t["0.0.weight"].fill_(float("nan"))), r"'0.0.weight' holds NaN"),
    "infinite weights": (
        weights(lambda t: t["0.0.weight"].fill_(float("inf"))),
        r"'0.0.weight' holds NaN or inf",
    ),
    "a missing tensor": (weights(lambda t: t.pop("0.0.weight")), r"'0.0.weight' is in only one of"),
    "a tensor of another shape": (
        weights(lambda t: t.update({"0.0.weight": torch.zeros(8, 3, 1, 1)})),
        r"'0.0.weight' is .* in the weights",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_clear_error(damage: str, tmp_path: Path) -> None:
    save(model_of("chain"), tmp_path / "m")
    change, message = DAMAGES[damage]
    change(tmp_path / "m")
    with pytest.raises(ArtifactError, match=message) as caught:
        load(tmp_path / "m")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "m") in str(caught.value)
