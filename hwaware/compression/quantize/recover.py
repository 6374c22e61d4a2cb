"""A trained model quantised with as little work as its loss asks for.

Calibration first. Where the loss on the training data rises by more than a little, equalised layers with corrected
biases are tried, rounding by reconstruction for weights of 4 bits, and fine-tuning with quantisation in the loop; the
best of what was tried is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.quantize.affine import Ranges
from hwaware.compression.quantize.bias import corrected
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import Choices
from hwaware.compression.quantize.equalise import equalised
from hwaware.compression.quantize.finetune import finetuned
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.rewrite import quantized
from hwaware.compression.quantize.rounding import rounded
from hwaware.compression.quantize.simulate import simulated
from hwaware.compression.quantize.taught import moved
from hwaware.compression.task import Task, training_loss
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

# A rise of the training loss that is not worth more work: relative, and absolute.
TOLERANCE, LEAST = 0.01, 1e-3


@dataclass(frozen=True)
class Recovery:
    """What may be spent where calibration is not enough: epochs of fine-tuning at a peak learning rate."""

    epochs: int
    lr: float
    seed: int = 0
    checkpoint: Checkpoint | None = None
    on_epoch: Callable[[int, dict[str, float]], object] | None = None


@dataclass(frozen=True)
class Quantised:
    """The integer graph as a model, its loss on the training data (in PyTorch) and how it came about."""

    model: GraphModel
    loss: float
    float_loss: float
    how: str


def quantised(model: GraphModel, task: Task, choices: Choices, recovery: Recovery) -> Quantised:
    """`model`, trained, with its layers in the precisions of `choices`. Raises TaskError and ModelError."""
    ladder = _Ladder(folded(model.graph), task, choices, recovery)
    reference = training_loss(task, ladder.teacher)
    enough = reference + max(TOLERANCE * abs(reference), LEAST)
    best = ladder.tried("calibration", ladder.plain, calibrate(ladder.plain, task, choices=choices))
    for step in (ladder.unbiased, ladder.rounded, ladder.tuned):
        if best.loss <= enough:
            break
        found = step(best)
        best = best if found is None or found.loss >= best.loss else found
    graph = quantized(best.graph, choices, best.ranges, scales=best.scales)
    return Quantised(GraphModel(graph, task.example_inputs).eval(), best.loss, reference, best.how)


@dataclass(frozen=True)
class _Tried:
    how: str
    graph: Graph
    ranges: Ranges
    scales: Mapping[str, Tensor] | None
    loss: float


class _Ladder:
    """From the cheapest to the dearest; each step starts from the best so far."""

    def __init__(self, plain: Graph, task: Task, choices: Choices, recovery: Recovery) -> None:
        self.plain, self._task, self._choices, self._recovery = plain, task, choices, recovery
        self.teacher = GraphModel(plain, task.example_inputs).eval()

    def tried(self, how: str, graph: Graph, ranges: Ranges, scales: Mapping[str, Tensor] | None = None) -> _Tried:
        simulation = simulated(graph, self._choices, ranges, scales=scales)
        loss = training_loss(self._task, GraphModel(simulation, self._task.example_inputs))
        return _Tried(how, graph, ranges, scales, loss)

    def unbiased(self, best: _Tried) -> _Tried:
        balanced = equalised(best.graph)
        ranges = calibrate(balanced, self._task, choices=self._choices)
        graph = corrected(balanced, self._task, self._choices, ranges, reference=balanced)
        return self.tried("equalised layers and corrected biases", graph, ranges)

    def rounded(self, best: _Tried) -> _Tried | None:
        if "weight4" not in self._choices.values():
            return None
        found = rounded(best.graph, self._task, self._choices, best.ranges)
        return self.tried("rounding by reconstruction", found.graph, best.ranges, found.scales)

    def tuned(self, best: _Tried) -> _Tried | None:
        how = self._recovery
        if how.epochs < 1:
            return None
        task = self._task
        found = finetuned(
            best.graph,
            task,
            self._choices,
            best.ranges,
            epochs=how.epochs,
            lr=how.lr,
            loss="task" if task.fit is not None or len(self.plain.outputs) > 1 else "both",
            distance=moved,
            teacher=self.teacher,
            scales=best.scales,
            seed=how.seed,
            checkpoint=how.checkpoint,
            on_epoch=how.on_epoch,
        )
        return self.tried("fine-tuning with quantisation", found.graph, best.ranges, found.scales)
