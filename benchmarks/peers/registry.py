"""The peers by name, in the order of the table."""

from __future__ import annotations

from benchmarks.peers import litert, ncnn_cpu, onnx_runtime, openvino_cpu, pytorch
from benchmarks.peers.peer import Peer

PEERS: dict[str, Peer] = {
    module.PEER.name: module.PEER for module in (onnx_runtime, openvino_cpu, ncnn_cpu, litert, pytorch)
}
