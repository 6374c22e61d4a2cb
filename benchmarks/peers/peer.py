"""What a peer is: another runtime that runs the same model on the same threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

# The model as every peer finds it in its folder; both are of torch.export's format, which needs no code of the model.
MODEL_FILE = "model.pt2"
INPUTS_FILE = "input{}.npy"


class Runner(Protocol):
    """A loaded model. Only `run` is timed: inputs lie in the runtime's own memory before, outputs stay there after."""

    def feed(self, inputs: Sequence[np.ndarray]) -> None:
        """Give the model its inputs, in the model's order."""

    def run(self) -> None:
        """One inference."""

    def outputs(self) -> list[np.ndarray]:
        """Outputs of the last inference, in the model's order."""


@dataclass(frozen=True)
class Peer:
    """A runtime: how a model becomes its file, and how that file is run.

    `convert` reads MODEL_FILE in the folder and writes the runtime's own files beside it; it runs in a process of its
    own, which no measurement sees. `start` imports the runtime, so that its code is no part of a model's memory, and
    gives the function that loads: (folder, setting, threads) to a Runner.
    """

    name: str
    settings: tuple[str, ...]  # tried on each row; the fastest is the peer's figure
    convert: Callable[[Path], None]
    start: Callable[[], Callable[[Path, str, int], Runner]]
