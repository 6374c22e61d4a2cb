"""PyTorch: eager with channels-last tensors (oneDNN), TorchScript frozen for inference, or Inductor, weights frozen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import Peer, Runner


class _Module:
    def __init__(self, torch: Any, module: Any, inputs: Any, setting: str) -> None:
        self._torch = torch
        self._prepare: Callable[[Any], Any] = lambda value: value
        if setting != "compiled":
            self._prepare = self._channels_last
            module = module.to(memory_format=torch.channels_last)
        with torch.no_grad():
            if setting == "compiled":
                module = torch.compile(module)
            elif setting == "frozen":
                traced = torch.jit.trace(module, tuple(self._prepare(value) for value in inputs))
                module = torch.jit.optimize_for_inference(torch.jit.freeze(traced.eval()))
        self._module = module
        self._inputs: list[Any] = []
        self._result: Any = None

    def _channels_last(self, value: Any) -> Any:
        return value.contiguous(memory_format=self._torch.channels_last) if value.ndim == 4 else value

    def feed(self, inputs: Sequence[np.ndarray]) -> None:
        self._inputs = [self._prepare(self._torch.from_numpy(value)) for value in inputs]

    def run(self) -> None:
        with self._torch.no_grad():
            self._result = self._module(*self._inputs)

    def outputs(self) -> list[np.ndarray]:
        result = self._result if isinstance(self._result, list | tuple) else (self._result,)
        return [value.numpy() for value in result]


def _convert(folder: Path) -> None:
    """PyTorch runs the exported model itself."""


def _start() -> Callable[[Path, str, int], Runner]:
    import torch

    from benchmarks.peers.sources import read_source

    def load(folder: Path, setting: str, threads: int) -> Runner:
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        if setting == "compiled":
            import torch._inductor.config as inductor

            inductor.freezing = True
        return _Module(torch, *read_source(folder), setting)

    return load


PEER = Peer("PyTorch", ("eager", "frozen", "compiled"), _convert, _start)
