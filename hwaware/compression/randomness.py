"""Torch's random numbers: seeded for a training and given back, stored, and a stream of a process' own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

CPU, CUDA = "cpu", "cuda"


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers from `seed`; afterwards the states of the CPU and of `device` are as they were.

    No other GPU is touched: asking each for its state would take memory on all of them.
    """
    with torch.random.fork_rng(devices=[device] if device.type == CUDA else []):
        torch.manual_seed(seed)
        yield


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The states of the CPU's generator and, where `device` is a GPU, of its own."""
    state = {CPU: torch.get_rng_state()}
    if device.type == CUDA:
        state[CUDA] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Go on from what `random_state` gave. Raises RuntimeError or TypeError for anything else."""
    torch.set_rng_state(state[CPU])
    if device.type == CUDA and CUDA in state:
        torch.cuda.set_rng_state(state[CUDA], device)


class OwnStream:
    """Random numbers that one process draws without moving the stream that all processes have in common."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        with seeded(seed, device):
            self._state = random_state(device)

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """What is drawn inside comes from this stream."""
        common = random_state(self._device)
        set_random_state(self._state, self._device)
        try:
            yield
        finally:
            self._state = random_state(self._device)
            set_random_state(common, self._device)
