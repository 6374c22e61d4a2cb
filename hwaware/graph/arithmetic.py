"""How much an operation computes and moves: what rooflines and rough guesses are made of, never a cost."""

from __future__ import annotations

import math

import numpy as np

from hwaware.graph.ir import Spec
from hwaware.graph.workload import CODEBOOK, FULL, HALF, INT8, SPARSE, STORED, Workload


def multiply_adds(workload: Workload) -> int:
    """Multiply-adds of the direct algorithm, of weights that are kept; 0 for what only moves, compares or adds."""
    outputs = math.prod(workload.output.shape)
    form = str(dict(workload.attrs).get(STORED, ""))
    if form.startswith(SPARSE):
        return outputs // workload.output.shape[-1] * int(form.removeprefix(SPARSE))
    if workload.kind in ("conv2d", "conv2d_transpose"):
        groups = workload.attr("groups")
        assert isinstance(groups, int)
        taps = math.prod(workload.ints("kernel"))
        if workload.kind == "conv2d":
            return outputs * taps * workload.inputs[0].shape[-1] // groups
        return math.prod(workload.inputs[0].shape) * taps * workload.output.shape[-1] // groups
    if workload.kind in ("dense", "matmul"):
        return outputs * workload.inputs[0].shape[-1]
    return 0


def weight_bytes(workload: Workload) -> int:
    """Bytes of the weights as they are stored, without padding and biases; with scales, places, codewords."""
    form = str(dict(workload.attrs).get(STORED, ""))
    if form.startswith(SPARSE):
        return _KEPT * int(form.removeprefix(SPARSE))
    if form.startswith(CODEBOOK):
        words, depth = map(int, form.removeprefix(CODEBOOK).split("x"))
        return weights(workload) // depth * (1 if words <= _BYTE else 2) + 2 * words * depth
    return -(-weights(workload) * _bits(workload) // 8)


_KEPT = 6  # of a weight that is not 0: a float32 value and a short place
_BYTE = 256  # codewords that a byte can name
_BITS = {"": 32, INT8: 8, HALF: 16}


def _bits(workload: Workload) -> int:
    if workload.inputs[0].dtype == "uint8":
        return 8
    form = str(dict(workload.attrs).get(STORED, ""))
    return _BITS.get(form, 5)


def weights(workload: Workload) -> int:
    """How many weights there are."""
    inputs, outputs = workload.inputs[0].shape[-1], workload.output.shape[-1] if workload.output.shape else 1
    if workload.kind in ("conv2d", "conv2d_transpose"):
        groups = workload.attr("groups")
        assert isinstance(groups, int)
        return math.prod(workload.ints("kernel")) * inputs * outputs // groups
    return inputs * outputs if workload.kind == "dense" else 0


def activation_bytes(workload: Workload) -> int:
    """Bytes of activations read and written once, residual operands included."""
    operands = sum(1 for step in workload.epilogue if step.operand == FULL and not step.constant)
    return sum(map(_bytes, workload.inputs)) + (1 + operands) * _bytes(workload.output)


def _bytes(spec: Spec) -> int:
    return math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
