"""What `test_distributed` starts with torchrun: several trainings, their results a file a process."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.distributed import Processes, joined
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import Precision, layers
from hwaware.compression.quantize.sensitivity import sensitivities
from hwaware.compression.task import ExtraLoss, evaluate
from hwaware.compression.train import fit
from hwaware.graph.capture import capture_batched
from hwaware.zoo.batches import Batches
from tests.compression.interruptions import Fader
from tests.compression.test_train import accuracy, task

EPOCHS, LR = 12, 0.1


def halves() -> list[tuple[Tensor, Tensor]]:
    """Two batches that are together `whole`."""
    (x, y), _, _ = task().eval_data
    return [(x[:50], y[:50]), (x[50:], y[50:])]


def smooth() -> nn.Sequential:
    """A model whose gradient is the mean over the samples: no BatchNorm, no dropout; one parameter is not used."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    model.register_parameter("spare", nn.Parameter(torch.ones(2, 2)))
    return model


def gradients(model: nn.Module, data: Any) -> dict[str, Tensor]:
    """Those of the first step."""
    found: dict[str, Tensor] = {}

    def after_step(module: nn.Module) -> None:
        found.update({name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None})

    fit(model, task(train_data=data), epochs=1, lr=LR, after_step=after_step)
    return found


def regularised(processes: Processes) -> tuple[nn.Module, dict[str, Any]]:
    """Learns, with an extra loss, dropout, BatchNorm; the facts of the epochs in the main process."""
    facts: list[dict[str, float]] = []
    circle, fader = task(model=differing(processes)), Fader()
    uneven = task(model=circle.model, train_data=Batches(circle.train_data.x, circle.train_data.y, 23, seed=0))
    fit(
        circle.model,
        uneven,
        epochs=EPOCHS,
        lr=LR,
        extra_loss=fader.extra_loss,
        after_step=fader.after_step,
        on_epoch=lambda _, found: facts.append(found),
    )
    return circle.model, {"facts": facts, "steps": fader.steps, "accuracy": evaluate(circle, circle.model)}


def differing(processes: Processes) -> nn.Module:
    """A model that starts with other weights in each process: those of the main one are to count."""
    model = task().model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * processes.rank)
    return model


def resumed(folder: Path, stop: int) -> nn.Module:
    """Interrupted after `stop` steps (0: never) and gone on with."""
    for at in (stop, 0):
        circle, fader = task(), Fader()

        def after_step(module: nn.Module, fader: Fader = fader, at: int = at) -> None:
            fader.after_step(module)
            if fader.steps == at:
                raise KeyboardInterrupt

        checkpoint = Checkpoint(folder, "tune") if stop else None
        with contextlib.suppress(KeyboardInterrupt):
            fit(
                circle.model,
                circle,
                epochs=4,
                lr=LR,
                extra_loss=fader.extra_loss,
                after_step=after_step,
                keep=[fader],
                checkpoint=checkpoint,
            )
    return circle.model


def own(processes: Processes) -> nn.Module:
    """A loop of the user's own that does something else in each process."""

    def loop(module: nn.Module, extra_loss: ExtraLoss) -> None:
        with torch.no_grad():
            next(module.parameters()).fill_(processes.rank + 1)

    circle = task(fit=loop)
    fit(circle.model, circle, epochs=1, lr=LR)
    return circle.model


def constants() -> nn.Module:
    """A model with buffers that no mean may touch."""
    model = smooth()
    model.register_buffer("mask", torch.tensor([float("-inf"), 0.1]))
    model.register_buffer("flags", torch.tensor([True, False]))
    fit(model, task(train_data=halves(), metric=accuracy), epochs=1, lr=LR)
    return model


def sensitive() -> Tensor:
    """What 8 and 4 bits lose in each layer: three layers, so that the last turn is not for all processes."""
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 2))
    circle = task(model=net)
    graph = capture_batched(net, circle.example_inputs)
    options: dict[str, tuple[Precision, ...]] = {node.name: ("float32", "weight4") for node in layers(graph)}
    losses = sensitivities(graph, circle, options, calibrate(graph, circle), batches=2)
    return torch.tensor([losses[layer]["weight4"] for layer in options], dtype=torch.float64)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    # The first trainings each make and leave a group of their own, the others share one.
    with joined() as processes:
        assert processes.count == 2
    model, report = regularised(processes)
    results: dict[str, Tensor] = {}

    def keep(name: str, tensors: dict[str, Tensor]) -> None:
        results.update({f"{name}.{key}": value.detach().clone() for key, value in tensors.items()})

    keep("trained", model.state_dict())
    keep("gradient", gradients(smooth(), halves()))
    keep("constants", constants().state_dict())
    with joined() as processes:
        keep("whole", resumed(folder / "none", 0).state_dict())
        keep("resumed", resumed(folder / "checkpoint", 10).state_dict())
        keep("own", own(processes).state_dict())
        keep("lost", {"by layer": sensitive()})
        save_file(results, folder / f"{processes.rank}.safetensors")
        (folder / f"{processes.rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
