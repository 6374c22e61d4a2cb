"""ncnn: packed layouts, Winograd where its own rule takes it, float32 throughout, converted by pnnx."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import Peer, Runner

TRACED_FILE = "traced.pt"
PARAM_FILE, WEIGHTS_FILE = "traced.ncnn.param", "traced.ncnn.bin"


class _Net:
    def __init__(self, ncnn: Any, folder: Path, setting: str, threads: int) -> None:
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        options.lightmode = True
        options.use_packing_layout = True
        options.use_sgemm_convolution = True
        options.use_winograd_convolution = setting == "winograd"
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "bf16_packed"):
            setattr(options, f"use_{name}", False)
        if self._net.load_param(str(folder / PARAM_FILE)) or self._net.load_model(str(folder / WEIGHTS_FILE)):
            raise RuntimeError("ncnn cannot load the converted model")
        self._mat = ncnn.Mat
        self._names = list(self._net.output_names())
        self._inputs: dict[str, Any] = {}
        self._outputs: list[Any] = []

    def feed(self, inputs: Sequence[np.ndarray]) -> None:
        # ncnn has no batch dimension; `clone` makes a Mat with memory of its own.
        names = self._net.input_names()
        self._inputs = {n: self._mat(np.ascontiguousarray(x[0])).clone() for n, x in zip(names, inputs, strict=True)}

    def run(self) -> None:
        extractor = self._net.create_extractor()
        for name, mat in self._inputs.items():
            extractor.input(name, mat)
        self._outputs = [extractor.extract(name)[1] for name in self._names]

    def outputs(self) -> list[np.ndarray]:
        return [np.array(mat)[None] for mat in self._outputs]


def _convert(folder: Path) -> None:
    import pnnx
    import torch

    from benchmarks.peers.sources import read_source

    module, inputs = read_source(folder)
    with torch.no_grad():
        torch.jit.trace(module, inputs).save(str(folder / TRACED_FILE))
    shapes = ",".join(str(list(value.shape)).replace(" ", "") for value in inputs)
    command = [pnnx.EXEC_PATH, TRACED_FILE, f"inputshape={shapes}", "fp16=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (folder / PARAM_FILE).is_file():
        raise RuntimeError(f"pnnx failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")


def _start() -> Callable[[Path, str, int], Runner]:
    import ncnn

    return lambda folder, setting, threads: _Net(ncnn, folder, setting, threads)


PEER = Peer("ncnn", ("winograd", "direct"), _convert, _start)
