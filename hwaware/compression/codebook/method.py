"""The whole of it: a trained graph in, codewords and indices out (Stock et al. 2019, arXiv:1907.05686, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.codebook.calibration import BATCHES, calibration
from hwaware.compression.codebook.coded import CodedLayer, Form
from hwaware.compression.codebook.layers import SMALL, Rules, form_of, found
from hwaware.compression.codebook.layerwise import Coding, coded_layers
from hwaware.compression.codebook.progress import fingerprint
from hwaware.compression.codebook.report import LayerReport, Size, size_of
from hwaware.compression.codebook.tune import GlobalTuning, tuned
from hwaware.compression.task import Task
from hwaware.errors import ModelError
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

STAGES = ("codebook-layers", "codebook-global")  # names of their checkpoints


@dataclass(frozen=True)
class Settings:
    """What the procedure may spend, and the seed of all its random numbers."""

    coding: Coding = field(default_factory=Coding)
    tuning: GlobalTuning = field(default_factory=GlobalTuning)
    batches: int = BATCHES
    seed: int = 0


@dataclass(frozen=True)
class Codebooks:
    """A coded network.

    `graph` has the dense weights that the codewords stand for and the BatchNorm statistics that belong to them;
    `left` says of every other layer why it is as it was.
    """

    graph: Graph
    layers: tuple[CodedLayer, ...]
    reports: tuple[LayerReport, ...]
    left: dict[str, str]
    size: Size


def forms_by_rules(graph: Graph, rules: Rules = SMALL) -> dict[str, Form]:
    """d and k of every layer that the paper's rules code. Raises ModelError where that is none."""
    able = found(graph)
    forms = {layer.name: form for layer in able.layers if (form := form_of(layer, rules)) is not None}
    if not forms:
        names = ", ".join(layer.name for layer in able.layers)
        raise ModelError(f"no layer of the model has enough blocks for a codebook ({names})")
    return forms


def coded_network(
    graph: Graph,
    task: Task,
    forms: Mapping[str, Form] | None = None,
    *,
    settings: Settings | None = None,
    folder: Path | None = None,
    about: Mapping[str, str | int | float | bool] | None = None,
    on_layer: Callable[[LayerReport], object] | None = None,
    on_epoch: Callable[[int, dict[str, float]], object] | None = None,
) -> Codebooks:
    """Code `graph` (trained, batched) layer by layer, then train all codewords together. Uses inputs, never targets.

    `forms` are d and k by node; without them `forms_by_rules` decides. With `folder` the same call goes on from what
    was stored there, its weights compared; `about` is what else tells one run from another. A graph with its
    BatchNorms gets statistics that follow the codewords; one with them folded keeps what was folded. Raises ModelError
    and TaskError for what cannot be coded and bad data, ArtifactError for a foreign checkpoint.
    """
    how = settings or Settings()
    wanted = forms_by_rules(graph) if forms is None else forms
    data = calibration(graph, task, how.batches)
    known = {**(about or {}), "weights": fingerprint(graph)}
    stages = [None if folder is None else Checkpoint(folder, name, known) for name in STAGES]
    coded = coded_layers(graph, task, wanted, data, how=how.coding, checkpoint=stages[0], on_layer=on_layer)
    teacher = GraphModel(graph, task.example_inputs).eval()
    done = tuned(graph, task, teacher, coded.layers, how.tuning, seed=how.seed, checkpoint=stages[1], on_epoch=on_epoch)
    reasons = found(graph).left  # by the rules, which leave more alone than cannot be coded
    left = {name: reasons.get(name, reason) for name, reason in coded.left.items()}
    return Codebooks(done.graph, done.layers, coded.reports, left, size_of(graph, done.layers))
