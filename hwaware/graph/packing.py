"""The tensors of a graph as files hold them where layers decode their weights: no zeros, few bits for an index."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from hwaware.encoding.bits import unpacked as numbers
from hwaware.encoding.forms import Coded, Dense, Encoded, coded, decode, encode
from hwaware.graph.arguments import ref
from hwaware.graph.decode import decode_sparse
from hwaware.graph.ir import Graph, Node

SPARSE, CODEBOOK = "hwaware.decode_sparse", "hwaware.decode_codebook"


def is_packed(graph: Graph) -> bool:
    """Whether a layer of `graph` decodes weights that files hold in a form of their own."""
    return any(node.op in (SPARSE, CODEBOOK) for node in graph.nodes)


def packed(graph: Graph) -> dict[str, Encoded]:
    """All tensors of `graph`; what a layer decodes its weight from is one, under the name of its values or codes."""
    made: dict[str, Encoded] = {}
    gone = set[str]()
    for node in graph.nodes:
        if node.op == SPARSE:
            values, places, starts = (ref(node, key) for key in ("values", "places", "starts"))
            parts = (graph.tensors[name].detach() for name in (values, places, starts))
            made[values] = encode(decode_sparse(*parts, list(node.spec.shape)).numpy())
            gone |= {places, starts}
        elif node.op == CODEBOOK:
            codes, codebook = ref(node, "codes"), ref(node, "codebook")
            words = graph.tensors[codebook].detach().half().numpy()
            made[codes] = coded(node.spec.shape, words, graph.tensors[codes].to(torch.int64).numpy())
            gone.add(codebook)
    kept = [name for name in graph.tensors if name not in gone]
    return {name: made.get(name) or Dense(graph.tensors[name].detach().numpy()) for name in kept}


def unpacked(encoded: Mapping[str, Encoded], graph: Graph) -> dict[str, Tensor]:
    """The tensors of `graph`, of which only names and kinds are looked at, from what `packed` made of them.

    Raises ValueError for forms that are not those the graph decodes; what is missing or odd is left to be found.
    """
    made: dict[str, Tensor] = {}
    for node in graph.nodes:
        if node.op == SPARSE:
            made |= _sparse(node, encoded)
        elif node.op == CODEBOOK:
            made |= _codebook(node, encoded, graph.tensors)
    others = {name: form for name, form in encoded.items() if name not in made}
    for name, form in others.items():
        if not isinstance(form, Dense):
            raise ValueError(f"{name} is encoded, but no layer decodes it")
    return made | {name: torch.from_numpy(decode(form).copy()) for name, form in others.items()}


def sparse_parts(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`weight` (K, …) as the values, places and starts that `decode_sparse` takes."""
    rows = weight.flatten(1)
    counts = torch.count_nonzero(rows, 1)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]).to(torch.int32)
    row, place = torch.nonzero(rows, as_tuple=True)
    return rows[row, place].contiguous(), place.to(torch.int32), starts


def _sparse(node: Node, encoded: Mapping[str, Encoded]) -> dict[str, Tensor]:
    names = [ref(node, key) for key in ("values", "places", "starts")]
    form = encoded.get(names[0])
    if form is None or isinstance(form, Coded):
        raise ValueError(f"{names[0]} holds no sparse weights")
    weight = torch.from_numpy(decode(form).copy())
    if weight.dim() < 2 or tuple(weight.shape) != node.spec.shape:
        raise ValueError(f"{names[0]} has the shape {tuple(weight.shape)}, its layer {node.spec.shape}")
    return dict(zip(names, sparse_parts(weight), strict=True))


def _codebook(node: Node, encoded: Mapping[str, Encoded], known: Mapping[str, Tensor]) -> dict[str, Tensor]:
    codes, codebook = ref(node, "codes"), ref(node, "codebook")
    form = encoded.get(codes)
    if not isinstance(form, Coded) or form.shape != node.spec.shape or len(form.shape) < 2:
        raise ValueError(f"{codes} holds no codes of weights of the shape {node.spec.shape}")
    blocks = math.prod(form.shape) // form.codebook.shape[1]
    indices = torch.from_numpy(numbers(form.indices, form.width, blocks).astype("int64"))
    wide = indices.reshape(form.shape[0], -1).to(known[codes].dtype)
    return {codes: wide, codebook: torch.from_numpy(form.codebook.copy())}
