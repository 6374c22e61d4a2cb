"""OpenVINO's CPU plugin: latency hint, one stream, full float32 (on some processors its default is bfloat16)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import Peer, Runner

FILE = "openvino.xml"
ONNX_FILE = "openvino.onnx"


class _Request:
    def __init__(self, openvino: Any, path: Path, setting: str, threads: int) -> None:
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": setting == "pinned",
        }
        self._compiled = openvino.Core().compile_model(str(path), "CPU", config)
        self._request = self._compiled.create_infer_request()
        self._tensor = openvino.Tensor
        self._inputs: list[Any] = []

    def feed(self, inputs: Sequence[np.ndarray]) -> None:
        self._inputs = [self._tensor(np.ascontiguousarray(value)) for value in inputs]
        for index, tensor in enumerate(self._inputs):
            self._request.set_input_tensor(index, tensor)

    def run(self) -> None:
        # Calls of the base classes: `infer` of the Python wrapper would look at its inputs on every call.
        self._request.start_async()
        self._request.wait()

    def outputs(self) -> list[np.ndarray]:
        count = len(self._compiled.outputs)
        return [np.array(self._request.get_output_tensor(index).data) for index in range(count)]


def _convert(folder: Path) -> None:
    import openvino

    from benchmarks.peers.sources import write_onnx

    model = openvino.convert_model(write_onnx(folder, ONNX_FILE))
    openvino.save_model(model, folder / FILE, compress_to_fp16=False)


def _start() -> Callable[[Path, str, int], Runner]:
    import openvino

    return lambda folder, setting, threads: _Request(openvino, folder / FILE, setting, threads)


PEER = Peer("OpenVINO", ("pinned", "free"), _convert, _start)
