"""ONNX Runtime and OpenVINO with the model in 8-bit integers, as their users get it: static quantisation to QDQ nodes.

Both read the same file. Its format is a matter of the processor, so that each is a peer of its own: `u8s8` is what
suits processors with VNNI; without, sums of pairs of its products may saturate, which `u8s7` (weights of 7 bits)
avoids; `s8s8` is symmetric. Weights have a scale a channel, ranges are those of CALIBRATION's images.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import onnx_runtime, openvino_cpu
from benchmarks.peers.peer import Peer, Runner

CALIBRATION = "calibration.npy"  # (N, C, H, W), in the model's folder
FORMATS = ("u8s8", "u8s7", "s8s8")
_FLOAT, _PREPARED = "float.onnx", "prepared.onnx"


class _Images:
    """What `quantize_static` reads its calibration from: one image at a time."""

    def __init__(self, name: str, images: np.ndarray) -> None:
        self._name, self._left = name, list(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {self._name: self._left.pop(0)[None]} if self._left else None

    def rewind(self) -> None:
        """Never asked for by ranges of least and most."""


def write_quantised(folder: Path, kind: str) -> Path:
    """The model of `folder` in the format `kind`, as a file in a folder of that name; written once."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from benchmarks.peers.sources import write_onnx

    path = folder / kind / onnx_runtime.FILE
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    if not (folder / _PREPARED).exists():
        write_onnx(folder, _FLOAT)
        # Folds the BatchNorms, as all users are told to do before.
        quant_pre_process(str(folder / _FLOAT), str(folder / _PREPARED), skip_symbolic_shape=True)
    quantize_static(
        str(folder / _PREPARED),
        str(path),
        _Images(_input_name(folder / _PREPARED), np.load(folder / CALIBRATION)),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8 if kind == "s8s8" else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=kind == "u8s7",
        extra_options={"ActivationSymmetric": kind == "s8s8"},
    )
    return path


def _input_name(path: Path) -> str:
    import onnx

    return str(onnx.load(str(path)).graph.input[0].name)


def _convert_onnx_runtime(kind: str, folder: Path) -> None:
    write_quantised(folder, kind)


def _convert_openvino(kind: str, folder: Path) -> None:
    import openvino

    model: Any = openvino.convert_model(str(write_quantised(folder, kind)))
    openvino.save_model(model, folder / kind / openvino_cpu.FILE, compress_to_fp16=False)


def _start(peer: Peer, kind: str) -> Callable[[Path, str, int], Runner]:
    load = peer.start()
    return lambda folder, setting, threads: load(folder / kind, setting, threads)


def _quantised(peer: Peer, convert: Callable[[str, Path], None], kind: str) -> Peer:
    return Peer(f"{peer.name} {kind}", peer.settings, partial(convert, kind), partial(_start, peer, kind))


RUNTIMES = {onnx_runtime.PEER.name: _convert_onnx_runtime, openvino_cpu.PEER.name: _convert_openvino}
INT8_PEERS: dict[str, Peer] = {
    made.name: made
    for peer in (onnx_runtime.PEER, openvino_cpu.PEER)
    for kind in FORMATS
    for made in [_quantised(peer, RUNTIMES[peer.name], kind)]
}
