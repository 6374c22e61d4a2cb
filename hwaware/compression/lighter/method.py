"""`lighten`: a trained model in, the same with few or coded weights out; nothing is measured, as only bytes count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from hwaware.compression.compress import digest
from hwaware.compression.lighter.codes import codebooks
from hwaware.compression.lighter.goal import Goal, Lighter, Made, Work
from hwaware.compression.lighter.sparse import net_trim, surgery
from hwaware.compression.search import OnProgress
from hwaware.compression.task import Task, check, evaluate
from hwaware.encoding.size import size_report
from hwaware.errors import BudgetError
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel
from hwaware.graph.packing import packed

SURGERY, NETTRIM, CODEBOOK = "surgery", "nettrim", "codebook"
_METHODS: Mapping[str, tuple[Callable[[Work], Made], int, float]] = {
    SURGERY: (surgery, 20, 0.05),
    NETTRIM: (net_trim, 5, 0.01),
    CODEBOOK: (codebooks, 3, 0.01),
}
METHODS = tuple(_METHODS)


def lighten(
    task: Task,
    goal: Goal,
    *,
    method: str = SURGERY,
    seed: int = 0,
    epochs: int | None = None,
    lr: float | None = None,
    on_progress: OnProgress | None = None,
    checkpoints: Path | None = None,
) -> Lighter:
    """Make the weights of the trained model of `task` fewer, or indices into codebooks, until `goal` is met.

    `surgery` cuts connections while it trains and splices back what is needed; `nettrim` solves a convex programme for
    each layer and trains what is left; `codebook` needs no labels at all. `epochs` and `lr` are those of the method's
    training; without them each has its own. In the folder `checkpoints` states are kept and gone on with.

    Raises BudgetError for what cannot be had, ModelError for a model without layers for it or with NaN weights,
    TaskError for bad data, ArtifactError for a foreign checkpoint.
    """
    if method not in _METHODS:
        raise BudgetError(f"no method {method!r}: choose one of {', '.join(METHODS)}")
    make, usual_epochs, usual_lr = _METHODS[method]
    check(task)
    graph = capture_batched(task.model, task.example_inputs)
    baseline = GraphModel(graph, task.example_inputs).eval()
    about = {"method": method, "goal": repr(goal), "model": digest(baseline)}
    work = Work(
        task,
        graph,
        goal,
        epochs or usual_epochs,
        lr or usual_lr,
        seed,
        on_progress or _silent,
        None if checkpoints is None else checkpoints / method,
        about,
    )
    made = make(work)
    model = GraphModel(made.graph, task.example_inputs).eval()
    metrics = evaluate(task, model), evaluate(task, baseline)
    if goal.loss is not None and metrics[0] < metrics[1] - goal.loss:
        # Tried before the last training, which may lose a little.
        more = f"it loses {metrics[1] - metrics[0]:.4g} in the end, more than was allowed: ask for less, or more epochs"
        made = replace(made, note=f"{made.note}; {more}" if made.note else more)
    return Lighter(model, baseline, method, task.name, goal, seed, *metrics, made, size_report(packed(made.graph)))


def _silent(phase: str, done: int, total: int, note: str) -> None:
    """Nobody listens."""
