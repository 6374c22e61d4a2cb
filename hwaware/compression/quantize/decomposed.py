"""What ``quantized_decomposed`` operators say: scales, zero points and bounds, which must be constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hwaware.errors import UnsupportedOpError
from hwaware.graph.arguments import integer, ref
from hwaware.graph.constants import argument_value
from hwaware.graph.integer import LEVELS
from hwaware.graph.ir import Node, Ref

NAMESPACE = "quantized_decomposed"
QUANTIZE = frozenset({f"{NAMESPACE}.quantize_per_tensor.{kind}" for kind in ("default", "tensor")})
DEQUANTIZE = frozenset({f"{NAMESPACE}.dequantize_per_tensor.{kind}" for kind in ("default", "tensor")})
CHANNELS = frozenset({f"{NAMESPACE}.{kind}_per_channel.default" for kind in ("quantize", "dequantize")})
_SIGNED = 128  # the unsigned level is so much more than the signed one

Constants = Mapping[str, Tensor]


class Rounded(NamedTuple):
    """Unsigned levels: their scale and zero point, and the least and the largest that is used."""

    scale: float
    zero: int
    low: int
    high: int


def rounded(node: Node, constants: Constants) -> Rounded:
    """What a ``(de)quantize_per_tensor`` of an activation says.

    Raises `UnsupportedOpError` for other than 8 bits and numbers that make no sense.
    """
    offset = {"torch.uint8": 0, "torch.int8": _SIGNED}.get(str(node.args["dtype"]))
    if offset is None:
        raise refusal(
            node, f"levels of type {str(node.args['dtype']).removeprefix('torch.')} are not supported, only 8 bits"
        )
    scale, zero = (float(number(node, key, constants)) for key in ("scale", "zero_point"))
    low, high = (integer(node, key) + offset for key in ("quant_min", "quant_max"))
    found = Rounded(float(np.float32(scale)), int(zero) + offset, low, high)
    if not (0 <= found.low <= found.zero <= found.high <= LEVELS and 0 < found.scale < np.inf):
        raise refusal(node, f"scale {scale:g}, zero point {zero:g} and levels from {low} to {high} do not fit together")
    return found


def weight_scale(node: Node, constants: Constants) -> Tensor | None:
    """The scales (K) of a dequantised constant of int8 levels (K, …); None for one that no integer layer takes."""
    levels = constants[ref(node, "input")]
    if levels.dtype != torch.int8 or levels.dim() < 2:
        return None
    if node.op in DEQUANTIZE:
        scale, zero = (number(node, key, constants) for key in ("scale", "zero_point"))
    elif node.op == f"{NAMESPACE}.dequantize_per_channel.default" and integer(node, "axis") == 0:
        scale, zero = (number(node, key, constants) for key in ("scales", "zero_points"))
    else:
        return None
    return None if bool(zero.any()) else scale.float().flatten().expand(len(levels)).contiguous()


def evaluated(node: Node, constants: Constants) -> Tensor:
    """The value of a node of this namespace that reads nothing but constants."""
    packet, _, overload = node.op.removeprefix(f"{NAMESPACE}.").partition(".")
    function = getattr(getattr(torch.ops.quantized_decomposed, packet), overload)
    kinds = {argument.name: argument for argument in function._schema.arguments}
    values = {key: argument_value(arg, dict(constants), str(kinds[key].type)) for key, arg in node.args.items()}
    positional = [value for key, value in values.items() if not kinds[key].kwarg_only]
    result: Tensor = function(*positional, **{key: value for key, value in values.items() if kinds[key].kwarg_only})
    return result


def number(node: Node, key: str, constants: Constants) -> Tensor:
    """A literal or constant argument as a tensor; None counts as 0."""
    arg = node.args[key]
    if isinstance(arg, Ref) and arg.name in constants:
        return constants[arg.name].detach()
    if arg is None or isinstance(arg, int | float):
        return torch.tensor(arg or 0, dtype=torch.float64)
    raise refusal(node, f"{key} is computed by the model: only static quantisation is supported")


def refusal(node: Node, what: str) -> UnsupportedOpError:
    """The error for an operator of this namespace."""
    return UnsupportedOpError(f"operator {node.op} in module '{node.path or '(top)'}': {what}")
