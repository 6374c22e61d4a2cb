"""A coded network as it is stored and run: indices and codewords in place of weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import torch

from hwaware.compression.codebook.coded import CodedLayer
from hwaware.compression.stored_weights import stored
from hwaware.graph.draft import Draft, beside
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec
from hwaware.graph.packing import CODEBOOK

_BYTE = 256  # codewords that an index of one byte names


def codebooked(graph: Graph, layers: Iterable[CodedLayer]) -> Graph:
    """`graph` with the weights of `layers` as indices and codewords; it computes what the rebuilt weights do.

    ``conv.weight`` holds the indices then, in bytes up to 256 codewords. Raises ModelError as of `stored`.
    """
    return stored(graph, {layer.name: partial(_decoded, layer) for layer in layers})


def _decoded(layer: CodedLayer, draft: Draft, node: Node, name: str, weight: torch.Tensor) -> str:
    dtype = torch.uint8 if layer.form.k <= _BYTE else torch.int32
    codes = layer.assignments.reshape(weight.shape[0], -1).to(dtype)
    tensors = {
        "codes": draft.tensor(name, codes),
        "codebook": draft.tensor(beside(name, "weight_codebook"), layer.codebook.half()),
    }
    args: Mapping[str, Arg] = {**{key: Ref(tensor) for key, tensor in tensors.items()}, "shape": tuple(weight.shape)}
    return draft.add(f"{node.name}_weight", CODEBOOK, args, Spec(tuple(weight.shape), "float32"), node.path)
