"""A graph whose coded layers read their weights out of a codebook, so that training moves the codewords.

The weight becomes ``view(embedding(codebook, codes))``. The embedding scales its gradient by how often an index
occurs: a codeword's gradient is the mean over its blocks (Stock et al. 2019, arXiv:1907.05686, section 3.3). The
indices are constants. It is a graph of known operators and can be saved and loaded like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwaware.compression.codebook.coded import CodedLayer, half, rebuilt
from hwaware.graph.arguments import with_args
from hwaware.graph.draft import Draft, beside
from hwaware.graph.ir import Arg, Graph, Ref, Spec


@dataclass(frozen=True)
class Student:
    """`graph`, and for each layer the name of its codebook among the graph's tensors."""

    graph: Graph
    layers: tuple[CodedLayer, ...]
    codebooks: tuple[str, ...]

    def coded(self, trained: Graph) -> tuple[CodedLayer, ...]:
        """The layers with the codewords of `trained`, rounded to float16; the indices are as they were."""
        return tuple(
            replace(layer, codebook=half(trained.tensors[name]))
            for layer, name in zip(self.layers, self.codebooks, strict=True)
        )

    def dense(self, original: Graph, trained: Graph) -> Graph:
        """`original` with the weights of the codewords, and all other tensors, as `trained` has them."""
        kept = {name: trained.tensors.get(name, tensor) for name, tensor in original.tensors.items()}
        return with_layers(replace(original, tensors=kept), self.coded(trained))


def student(graph: Graph, layers: Sequence[CodedLayer], *, rest: bool = False) -> Student:
    """`graph` with `layers` coded; their codebooks are all that is trained, unless `rest` adds what was trained."""
    draft = Draft(graph, graph.nodes)
    by_node = {layer.name: layer for layer in layers}
    names = []
    for node in graph.nodes:
        layer = by_node.get(node.name)
        if layer is None:
            draft.keep(node)
            continue
        words = draft.own(beside(layer.weight, "codebook"), layer.codebook.clone(), trained=True)
        codes = draft.own(beside(layer.weight, "codes"), layer.assignments)
        look_up: dict[str, Arg] = {
            "weight": Ref(words),
            "indices": Ref(codes),
            "padding_idx": -1,
            "scale_grad_by_freq": True,
            "sparse": False,
        }
        blocks = Spec((len(layer.assignments), layer.form.d), "float32")
        found = draft.add(f"{node.name}_blocks", "embedding.default", look_up, blocks, node.path)
        shaped: dict[str, Arg] = {"self": Ref(found), "size": layer.shape}
        weight = draft.add(f"{node.name}_weight", "view.default", shaped, Spec(layer.shape, "float32"), node.path)
        draft.keep(with_args(node, {"weight": Ref(weight)}))
        names.append(words)
    made = draft.finish()
    trained = frozenset(names) | (made.parameters if rest else frozenset())
    ordered = tuple(by_node[node.name] for node in graph.nodes if node.name in by_node)
    return Student(replace(made, parameters=trained), ordered, tuple(names))


def with_layers(graph: Graph, layers: Sequence[CodedLayer]) -> Graph:
    """`graph` with the dense weights that `layers` stand for."""
    weights = {layer.weight: rebuilt(layer).to(graph.tensors[layer.weight].dtype) for layer in layers}
    return replace(graph, tensors={**graph.tensors, **weights})
