"""LiteRT with XNNPACK, its default delegate for float models on CPUs.

The converter (litert-torch) wants older versions of packages that are pinned here, so it lives in a virtual environment
of its own, named by the variable HWAWARE_LITERT_PYTHON, and is called as a program.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import MODEL_FILE, Peer, Runner

FILE = "model.tflite"
PYTHON_VARIABLE = "HWAWARE_LITERT_PYTHON"
DEFAULT_PYTHON = Path(".venv-litert/bin/python")
CONVERTER = Path(__file__).with_name("litert_export.py")


class _Interpreter:
    def __init__(self, interpreter: Any, path: Path, threads: int) -> None:
        self._interpreter = interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()

    def feed(self, inputs: Sequence[np.ndarray]) -> None:
        for spec, value in zip(self._interpreter.get_input_details(), inputs, strict=True):
            self._interpreter.set_tensor(spec["index"], value)

    def run(self) -> None:
        self._interpreter.invoke()

    def outputs(self) -> list[np.ndarray]:
        return [self._interpreter.get_tensor(spec["index"]) for spec in self._interpreter.get_output_details()]


def _convert(folder: Path) -> None:
    python = Path(os.environ.get(PYTHON_VARIABLE, DEFAULT_PYTHON))
    if not python.exists():
        raise RuntimeError(f"no converter at {python}: run `make bench`, or name its Python in {PYTHON_VARIABLE}")
    command = [str(python), "-P", str(CONVERTER), str(folder / MODEL_FILE), str(folder / FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (folder / FILE).is_file():
        raise RuntimeError(f"litert-torch failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")


def _start() -> Callable[[Path, str, int], Runner]:
    from ai_edge_litert.interpreter import Interpreter

    return lambda folder, _, threads: _Interpreter(Interpreter, folder / FILE, threads)


PEER = Peer("LiteRT", ("xnnpack",), _convert, _start)
