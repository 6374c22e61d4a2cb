"""ONNX Runtime: all graph optimisations (NCHWc layout among them), its own pool of threads that spin within a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import Peer, Runner

FILE = "model.onnx"


class _Session:
    def __init__(self, runtime: Any, path: Path, threads: int) -> None:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._binding = self._session.io_binding()
        self._values: list[Any] = []
        self._make_value = runtime.OrtValue.ortvalue_from_numpy

    def feed(self, inputs: Sequence[np.ndarray]) -> None:
        self._values = [self._make_value(value) for value in inputs]
        for spec, value in zip(self._session.get_inputs(), self._values, strict=True):
            self._binding.bind_ortvalue_input(spec.name, value)
        for spec in self._session.get_outputs():
            value = self._make_value(np.empty(spec.shape, np.float32))
            self._values.append(value)
            self._binding.bind_ortvalue_output(spec.name, value)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def outputs(self) -> list[np.ndarray]:
        return list(self._binding.copy_outputs_to_cpu())


def _convert(folder: Path) -> None:
    from benchmarks.peers.sources import write_onnx

    write_onnx(folder, FILE)


def _start() -> Callable[[Path, str, int], Runner]:
    import onnxruntime

    return lambda folder, _, threads: _Session(onnxruntime, folder / FILE, threads)


PEER = Peer("ONNX Runtime", ("default",), _convert, _start)
