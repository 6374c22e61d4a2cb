"""The layers that are coded already, as a state that survives an interruption."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from hwaware.compression.codebook.coded import CodedLayer
from hwaware.compression.codebook.report import LayerReport
from hwaware.graph.ir import Graph


def fingerprint(graph: Graph) -> str:
    """SHA-256 of the names and numbers of all tensors: what was coded of one network is of no use to another."""
    found = hashlib.sha256()
    for name, tensor in sorted(graph.tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


class Progress:
    """Coded layers in the order of `names`; `Stateful`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self.layers: list[CodedLayer] = []
        self.reports: list[LayerReport] = []

    def add(self, layer: CodedLayer, report: LayerReport) -> None:
        """The next layer is done."""
        self.layers.append(layer)
        self.reports.append(report)

    def state(self) -> dict[str, Any]:
        """Every layer with its report."""
        return {
            "layers": [
                {**asdict(report), "weight": layer.weight, "shape": list(layer.shape)}
                | {"codebook": layer.codebook, "assignments": layer.assignments}
                for layer, report in zip(self.layers, self.reports, strict=True)
            ]
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on behind the layers of `state`. Raises ValueError, KeyError, TypeError or ModelError for damaged ones."""
        layers, reports = [], []
        for stored in state["layers"]:
            fields = dict(stored)
            shape = tuple(int(size) for size in fields.pop("shape"))
            weight, words, codes = (fields.pop(key) for key in ("weight", "codebook", "assignments"))
            layers.append(CodedLayer(fields["name"], weight, shape, words, codes))
            reports.append(LayerReport(**fields))
        if [layer.name for layer in layers] != self._names[: len(layers)]:
            raise ValueError("they are those of another model")
        self.layers, self.reports = layers, reports
