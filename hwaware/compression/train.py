"""Training a task's model, plain or with an extra loss term (a regulariser that prunes)."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from hwaware.compression.checkpoint import Arguments, Checkpoint
from hwaware.compression.distributed import joined
from hwaware.compression.epoch import AfterStep, Course, Trainer
from hwaware.compression.optimiser import OptimizerName, make_optimizer
from hwaware.compression.own_fit import own_fit
from hwaware.compression.precision import Precision, PrecisionName
from hwaware.compression.randomness import seeded
from hwaware.compression.resume import Resumption
from hwaware.compression.stateful import Stateful
from hwaware.compression.task import ExtraLoss, Task
from hwaware.compression.training_state import TrainingState


def fit(
    model: nn.Module,
    task: Task,
    *,
    epochs: int,
    lr: float,
    extra_loss: ExtraLoss | None = None,
    after_step: AfterStep | None = None,
    on_epoch: Callable[[int, dict[str, float]], object] | None = None,
    seed: int = 0,
    weight_decay: float = 1e-4,
    optimizer: OptimizerName = "sgd",
    precision: PrecisionName = "float32",
    checkpoint: Checkpoint | None = None,
    keep: Sequence[Stateful] = (),
) -> None:
    """Train `model` in place on the task's training data; it is left in eval mode.

    The learning rate warms up to `lr` and falls to 0 as half a cosine, step by step. Weight decay leaves
    vectors (biases, BatchNorm) alone: the pruning regularisers act on them. `extra_loss(model)` is added to
    each step's loss; `after_step(model)` is called behind every optimiser step; `on_epoch(epoch, {"loss",
    "metric", "lr", "seconds"})` behind every epoch: the means of the task's loss, without the extra term, and of its
    metric over the training batches as they were learned. `precision` is that of the arithmetic; weights are float32.

    With the same number of threads the result is a function of `seed`: it sets torch's random numbers and,
    where the data has `set_epoch`, the order of the batches. The global random state is left as it was.

    With `checkpoint` the state of everything, `keep` included, is stored behind every epoch, after `on_epoch`. The
    same call goes on from there and ends, on the same machine, with the same weights to the bit; where nothing is left
    to train it restores them and returns. `keep` must be in the state the first call had them in, or fresh.

    Started by torchrun, the processes train together: each takes its share of the batches (a step's gradient is that
    of a batch as many times as large), and all end with the same weights, BatchNorm statistics being averaged. Only
    the main one calls `on_epoch` and writes checkpoints, in a folder that all can read. `extra_loss` and `after_step`
    must do the same on every one.

    A task with a `fit` of its own is trained by that alone: then only `extra_loss`, `after_step`, `seed` and, for the
    finished training, `checkpoint` apply. With several processes it runs in each, and the main one's weights count.

    Raises TaskError when the loss is not finite, there is nothing to train, or the user's code raises;
    ArtifactError for a checkpoint that is damaged or another training's.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    own = task.fit
    with joined() as processes, seeded(seed, device):
        processes.copy_main([*model.parameters(), *model.buffers()])
        arithmetic = Precision(precision, device)
        stepper = make_optimizer(model, task, optimizer, lr, weight_decay) if own is None else None
        arguments: Arguments = {
            "task": task.name,
            "epochs": epochs,
            "lr": lr,
            "seed": seed,
            "weight decay": weight_decay,
            "optimizer": optimizer if own is None else "the task's own fit",
            "precision": precision,
            "processes": processes.count,
            "states": [type(kept).__name__ for kept in keep],
        }
        state = TrainingState(model, device, stepper, task.train_data, [arithmetic, *keep])
        # The user's loop has no epochs that anybody knows of: it is one.
        resumption = Resumption(checkpoint, arguments, 1 if own is not None else epochs, state, processes)
        first, batches = resumption.restore()
        if own is not None and first == 0:
            own_fit(own, model, task, extra_loss, after_step)
            processes.copy_main([*model.parameters(), *model.buffers()])
            resumption.store(1, 0)
        if stepper is not None:
            batches = batches or processes.rounds(operator.length_hint(task.train_data, 0))
            course = Course(epochs, lr, seed, with_metric=on_epoch is not None)
            trainer = Trainer(model, task, stepper, arithmetic, processes, course, extra_loss, after_step)
            for epoch in range(first, epochs):
                started = time.monotonic()
                done = trainer.run(epoch, batches)
                batches = done.batches
                if on_epoch is not None and processes.main:
                    seconds = time.monotonic() - started
                    on_epoch(epoch, {"loss": done.loss, "metric": done.metric, "lr": done.lr, "seconds": seconds})
                resumption.store(epoch + 1, batches)
        model.eval()
