"""Training on several processes that torchrun started: each takes its share of the batches, all have the same weights.

A step's gradient is the mean over the processes, that of one batch `count` times as large. Data and whatever else is
the same everywhere (an extra loss term, the pruning) is computed on every process instead of being sent.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hwaware.errors import TaskError

T = TypeVar("T")

# A group that is made after another was left must not find the addresses of its processes in torchrun's store.
_groups = itertools.count()


@dataclass(frozen=True)
class Processes:
    """This process, `rank`, among the `count` that train together; every method is a no-op where it is alone.

    Those that talk to the others must be called by all, in the same order.
    """

    rank: int = 0
    count: int = 1

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def rounds(self, batches: int) -> int:
        """Steps that `batches` batches make."""
        return batches // self.count

    def share(self, batches: Iterable[T]) -> Iterator[T]:
        """Every `count`-th of `batches`, equally many for each process: an incomplete last round is left out."""
        for index, batch in enumerate(batches):
            if index % self.count == self.rank:
                mine = batch
            if index % self.count == self.count - 1:
                yield mine

    def total(self, values: Sequence[float], device: torch.device) -> list[float]:
        """The sums of each of `values` over the processes."""
        if self.count == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(sums)
        return [float(value) for value in sums.tolist()]

    def copy_main(self, tensors: Iterable[Tensor]) -> None:
        """Give `tensors` the values that they have in the main process."""
        if self.count == 1:
            return
        with torch.no_grad():
            for tensor in tensors:
                # As bytes: not every backend sends every type.
                raw = tensor.detach().reshape(-1).clone().view(torch.uint8)
                dist.broadcast(raw, src=0)
                tensor.copy_(raw.view(tensor.dtype).reshape(tensor.shape))

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Make each gradient the mean over the processes, one that has none counting as zero.

        A parameter without a gradient anywhere is left without: an optimiser passes it over.
        """
        if self.count == 1:
            return
        kinds: dict[tuple[torch.device, torch.dtype], list[nn.Parameter]] = {}
        for parameter in parameters:
            kinds.setdefault((parameter.device, parameter.dtype), []).append(parameter)
        for alike in kinds.values():
            self._average(alike)

    def _average(self, alike: list[nn.Parameter]) -> None:
        """`average_gradients` in one message; behind the gradients stands which of them there are."""
        parts = [(p.new_zeros(p.shape) if p.grad is None else p.grad).reshape(-1) for p in alike]
        there = alike[0].new_tensor([float(p.grad is not None) for p in alike])
        flat = torch.cat([*(part.detach() for part in parts), there])
        dist.all_reduce(flat)
        *sums, anywhere = flat.split([*(p.numel() for p in alike), len(alike)])
        for parameter, values, found in zip(alike, sums, anywhere.tolist(), strict=True):
            if found:
                mean = (values / self.count).view(parameter.shape)
                parameter.grad = mean if parameter.grad is None else parameter.grad.copy_(mean)

    def average_buffers(self, model: nn.Module) -> None:
        """Make the statistics of the model (of its BatchNorms) the mean over the processes.

        What is equal everywhere is a constant and stays to the bit; what is counted in whole numbers is the main one's.
        """
        if self.count == 1:
            return
        floats = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        for buffer in floats:
            low, high, total = (buffer.detach().clone() for _ in range(3))
            dist.all_reduce(low, dist.ReduceOp.MIN)
            dist.all_reduce(high, dist.ReduceOp.MAX)
            dist.all_reduce(total)
            buffer.copy_(torch.where(low == high, buffer, total / self.count))
        self.copy_main(buffer for buffer in model.buffers() if not buffer.is_floating_point())


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that train together: those of torchrun, of a group that is there already, or this one alone.

    Where torchrun set the environment, a group is made (NCCL for tensors on GPUs, Gloo for others), "cuda" is made to
    mean the process' own GPU, and the group is left again at the end. Raises TaskError where the others are not found.
    """
    if dist.is_available() and dist.is_initialized():
        yield Processes(dist.get_rank(), dist.get_world_size())
        return
    count = _environment("WORLD_SIZE") if "WORLD_SIZE" in os.environ else 1
    if count <= 1:
        yield Processes()
        return
    processes = Processes(_environment("RANK"), count)
    _meet(processes, _environment("LOCAL_RANK"))
    yield processes
    # Not after an error: the others may be waiting for a message, and leaving would wait for them.
    dist.destroy_process_group()


def _meet(processes: Processes, local_rank: int) -> None:
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        if local_rank < torch.cuda.device_count():
            torch.cuda.set_device(local_rank)
    try:
        found, _, _ = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
        store = dist.PrefixStore(f"hwaware{next(_groups)}", found)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=processes.rank, world_size=processes.count)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TaskError(
            f"process {processes.rank} of {processes.count} does not find the others ({reason}): start with torchrun"
        ) from error


def _environment(name: str) -> int:
    text = os.environ.get(name, "")
    if not text.isdecimal():
        what = f"is {text[:20]!r}" if text else "is not set"
        raise TaskError(f"{name} {what}: start several processes with torchrun, or one with WORLD_SIZE unset")
    return int(text)
