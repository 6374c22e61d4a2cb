"""Models whose layers decode their weights are stored in few bytes and come back to the bit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hwaware.compression.codebook.coded import CodedLayer, rebuilt
from hwaware.compression.codebook.stored import codebooked
from hwaware.compression.sparsify import sparsified
from hwaware.encoding.container import load as load_encoded
from hwaware.encoding.container import save as save_encoded
from hwaware.encoding.forms import Coded, Dense, encode
from hwaware.errors import ArtifactError
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from hwaware.graph.packing import packed, unpacked
from hwaware.graph.store import ENCODED, MODEL, WEIGHTS, load, save

EXAMPLE = (torch.randn(2, 3, 8, 8),)


class Net(nn.Sequential):
    """A convolution that may be sparse, one in a codebook, a dense layer with a bias."""

    def __init__(self) -> None:
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 40))
        super().__init__(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), *head)


def graph_of(share: float, words: int, seed: int = 0) -> Graph:
    """`share` of the dense layers' weights left, the second convolution one of `words` codewords of nine."""
    torch.manual_seed(seed)
    graph = capture_batched(Net(), EXAMPLE)
    for name in ("0.weight", "6.weight"):
        weight = graph.tensors[name]
        graph.tensors[name] = torch.where(torch.rand_like(weight) < share, weight, torch.tensor(0.0))
    codes = torch.randint(0, words, (16 * 8,))
    layer = CodedLayer("conv2d_1", "2.weight", (16, 8, 3, 3), torch.randn(words, 9).half().float(), codes)
    graph.tensors["2.weight"] = rebuilt(layer)
    return codebooked(sparsified(graph, ["conv2d", "linear"]), [layer])


@given(share=st.floats(0, 1), words=st.sampled_from([1, 2, 200, 256, 257, 1000]), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_what_is_packed_comes_back_to_the_bit(share: float, words: int, seed: int) -> None:
    graph = graph_of(share, words, seed)
    again = unpacked(packed(graph), graph)
    assert again.keys() == graph.tensors.keys()
    for name, tensor in graph.tensors.items():
        assert again[name].dtype == tensor.dtype
        assert torch.equal(again[name], tensor)


def test_a_stored_model_computes_the_same_and_has_one_small_file(tmp_path: Path) -> None:
    graph = graph_of(0.05, 16)
    model = GraphModel(graph, EXAMPLE).eval()
    save(model, tmp_path / "net")
    assert {path.name for path in (tmp_path / "net").iterdir()} == {MODEL, ENCODED}
    again = load(tmp_path / "net")
    x = torch.randn(5, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(again(x), model(x))
    held = load_encoded(tmp_path / "net" / ENCODED)
    assert set(held) == {"0.weight", "0.bias", "2.weight", "2.bias", "6.weight", "6.bias"}
    # Indices of four bits, codewords of two bytes a number; what is sparse has less than a fifth of its weights' bytes.
    assert held["2.weight"].bytes == 16 * 8 // 2 + 2 * 16 * 9
    assert held["6.weight"].bytes < 0.2 * 4 * 16 * 40


def test_a_dense_model_in_its_place_leaves_no_file_behind(tmp_path: Path) -> None:
    save(GraphModel(graph_of(0.1, 4), EXAMPLE), tmp_path / "net")
    save(GraphModel(capture_batched(Net(), EXAMPLE), EXAMPLE), tmp_path / "net")
    assert {path.name for path in (tmp_path / "net").iterdir()} == {MODEL, WEIGHTS}


FOREIGN = {
    "a dense tensor for codes": ("2.weight", Dense(np.zeros((16, 8, 3, 3), np.float32)), "no codes of weights"),
    "codes for sparse weights": (
        "6.weight",
        Coded((40, 16), np.zeros((2, 16), np.float16), np.zeros(5, np.uint8)),
        "holds no sparse weights",
    ),
    "sparse weights of another shape": ("6.weight", encode(np.eye(40, dtype=np.float32)), "its layer"),
    "a sparse bias": ("6.bias", encode(np.eye(1, 40, dtype=np.float32)[0]), "no layer decodes it"),
    "other codes": ("2.weight", Coded((16, 8, 3, 3), np.zeros((2, 18), np.float16), np.zeros(8, np.uint8)), "tensor"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_forms_that_the_graph_does_not_decode_are_refused(kind: str, tmp_path: Path) -> None:
    """Also where the digest says that the file is the one that was written."""
    name, form, message = FOREIGN[kind]
    save(GraphModel(graph_of(0.1, 4), EXAMPLE), tmp_path / "net")
    path = tmp_path / "net" / ENCODED
    save_encoded(path, {**load_encoded(path), name: form})
    document = json.loads((tmp_path / "net" / MODEL).read_text())
    document["weights"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "net" / MODEL).write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=message) as caught:
        load(tmp_path / "net")
    assert "\n" not in str(caught.value)
