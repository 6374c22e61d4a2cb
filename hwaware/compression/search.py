"""What a pruning method is given and what it gives back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwaware.compression.budget import quantity
from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.distributed import joined
from hwaware.compression.plan import GroupPlan, LayerPlan
from hwaware.compression.precision import PrecisionName
from hwaware.compression.prepare import Prepared, Selection, prepare
from hwaware.compression.quantize.choices import PRECISIONS, Precision
from hwaware.compression.quantize.sensitivity import Sensitivity
from hwaware.compression.regulariser import BY_LIMITS, Regulariser
from hwaware.compression.task import Task
from hwaware.costs.model import CostModel
from hwaware.graph.model import GraphModel

# gauge(model): its latency on the device as a share of what was asked for.
Gauge = Callable[[GraphModel], float]
# on_progress(phase, done, total, note): `done` of `total` epochs of a phase are over.
OnProgress = Callable[[str, int, int, str], object]


@dataclass(frozen=True)
class Options:
    """How to search.

    `regulariser` says what a channel costs while shrinking. There are `rounds` of shrinking and expansion; each
    shrinks to `overshoot` times the limits and expands to the limits. Above 1 the last part of the way is a multiplier
    of all widths. Without, MorphNet shrinks half of the way, as a geometric mean has it: what training takes away
    decides the proportions, and taken too far leaves first layers of a channel or two.

    `precision` is that of training; `precisions` are those that layers may be compressed to, as far as the table knows
    them, and `sensitivity` says what they are judged by: the task's loss, or its outputs where there are no labels.
    """

    selection: Selection = field(default_factory=Selection)
    regulariser: Regulariser = BY_LIMITS
    rounds: int = 1
    overshoot: float | None = None
    precision: PrecisionName = "float32"
    precisions: tuple[Precision, ...] = PRECISIONS
    sensitivity: Sensitivity = "loss"


@dataclass(frozen=True)
class Search:
    """One compression: `epochs` of training at the peak rate `lr` are for the search."""

    task: Task
    source: CostModel
    limits: Mapping[str, float]
    options: Options
    epochs: int
    lr: float
    seed: int
    report: OnProgress
    folder: Path | None = None  # of checkpoints
    about: Mapping[str, str] = field(default_factory=dict)  # what checkpoints of other searches differ in
    gauge: Gauge | None = None

    def prepare(self, model: GraphModel, full: Mapping[str, int] | None = None) -> Prepared:
        """`model` made ready for this search."""
        return prepare(model, self.source, self.options.selection, full)

    def steps(self, epochs: int) -> int | None:
        """Optimiser steps of so many epochs; None where nobody knows."""
        with joined() as processes:
            batches = processes.rounds(operator.length_hint(self.task.train_data, 0))
        return epochs * batches if batches and self.task.fit is None else None

    def checkpoint(self, phase: str) -> Checkpoint | None:
        """Where the state of a phase is kept."""
        return None if self.folder is None else Checkpoint(self.folder, phase, self.about)

    def tell(
        self, phase: str, total: int, cost: Callable[[], Mapping[str, float]]
    ) -> Callable[[int, dict[str, float]], None]:
        """For `fit`: reports loss, metric, and each limited cost beside its limit."""

        def on_epoch(epoch: int, facts: dict[str, float]) -> None:
            parts = [f"loss {facts['loss']:.3f}, metric {facts['metric']:.3f}"]
            found = cost()
            for name, limit in self.limits.items():
                if name in found:
                    parts.append(f"{quantity(name, found[name])} of {quantity(name, limit)}")
            if "channels" in found:
                parts.append(f"{found['channels']:.0f} channels")
            self.report(phase, epoch + 1, total, ", ".join(parts))

        return on_epoch


@dataclass(frozen=True)
class Found:
    """A narrower model, the precision of each layer that is not to be float32, and why it is as it is.

    `with_more` says what a tenth more of the budget would change: (what, from, to).
    """

    model: GraphModel
    groups: tuple[GroupPlan, ...] = ()
    layers: tuple[LayerPlan, ...] = ()
    omega: float = 1.0
    strength: float = 0.0
    history: tuple[Mapping[str, float], ...] = ()
    choices: Mapping[str, Precision] = field(default_factory=dict)
    with_more: tuple[tuple[str, str, str], ...] = ()
