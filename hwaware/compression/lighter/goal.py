"""What is asked of a method that makes weights fewer, and what it is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.search import OnProgress
from hwaware.compression.task import Task
from hwaware.encoding.size import SizeReport
from hwaware.errors import BudgetError
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel


@dataclass(frozen=True)
class Goal:
    """Either `times` fewer (parameters; for codebooks bytes) or at most `loss` of the metric lost.

    Raises BudgetError for none, both, and numbers that cannot be meant.
    """

    times: float | None = None
    loss: float | None = None

    def __post_init__(self) -> None:
        if (self.times is None) == (self.loss is None):
            raise BudgetError("ask for so many times fewer weights (times) or for the most that may be lost (loss)")
        if self.times is not None and not 1 < self.times < math.inf:
            raise BudgetError(f"{self.times:g} times fewer is nothing to ask for; write a number above 1")
        if self.loss is not None and not 0 <= self.loss < math.inf:
            raise BudgetError(f"a loss of {self.loss:g} is nothing to ask for; write a number from 0, like 0.005")


@dataclass(frozen=True)
class Work:
    """A task, its captured model, the goal, and how much training there is.

    `folder` is where states are kept, `about` what tells this run from another.
    """

    task: Task
    graph: Graph
    goal: Goal
    epochs: int
    lr: float
    seed: int
    report: OnProgress
    folder: Path | None = None
    about: Mapping[str, str | int | float | bool] | None = None

    def checkpoint(self, name: str) -> Checkpoint | None:
        """That of the phase `name`; None where nothing is kept."""
        return None if self.folder is None else Checkpoint(self.folder, name, dict(self.about or {}))

    def epoch(self, phase: str) -> Callable[[int, dict[str, float]], None]:
        """Tells of the epochs of a phase as `fit` does."""

        def tell(epoch: int, facts: dict[str, float]) -> None:
            self.report(phase, epoch + 1, self.epochs, f"loss {facts['loss']:.3f}")

        return tell


@dataclass(frozen=True)
class LayerRow:
    """What became of a layer: its weights and biases, how many are kept, and what there is to say of it."""

    name: str
    before: int
    after: int
    note: str


@dataclass(frozen=True)
class Made:
    """A method's `graph`, of whose layers some may decode their weights; by layer why others are as they were."""

    graph: Graph
    layers: tuple[LayerRow, ...]
    left: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True)
class Lighter:
    """A model with fewer or coded weights, the one that went in, and what both are worth."""

    model: GraphModel
    baseline: GraphModel
    method: str
    task: str
    goal: Goal
    seed: int
    metric: float
    baseline_metric: float
    made: Made
    size: SizeReport

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "method": self.method,
            "task": self.task,
            "goal": {"times": self.goal.times, "loss": self.goal.loss},
            "seed": self.seed,
            "metric": {"before": self.baseline_metric, "after": self.metric},
            "layers": [asdict(row) for row in self.made.layers],
            "left": dict(self.made.left),
            "note": self.made.note,
            "size": self.size.document(),
        }
