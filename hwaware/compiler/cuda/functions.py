"""The elementwise steps behind an anchor on a GPU, as expressions of one element.

Steps that need their argument twice call a function of ours: written out in TIR, a chain of them would double with
every step. The functions use CUDA's accurate mathematics, not its fast ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tvm import tirx

from hwaware.compiler.tir import Expr, const

# In front of the kernels; as plain C too, where tests run what GPUs would compute.
PRELUDE = """\
#ifdef __CUDACC__
#define HWA_FUNCTION static __device__ __forceinline__
#else
#define HWA_FUNCTION
#endif
HWA_FUNCTION float hwa_sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
HWA_FUNCTION float hwa_silu(float x) { return x / (1.0f + expf(-x)); }
HWA_FUNCTION float hwa_hardsigmoid(float x) { return fminf(fmaxf(x + 3.0f, 0.0f), 6.0f) * (1.0f / 6.0f); }
HWA_FUNCTION float hwa_hardswish(float x) { return x * hwa_hardsigmoid(x); }
HWA_FUNCTION float hwa_leaky(float x, float slope) { return x < 0.0f ? x * slope : x; }
HWA_FUNCTION float hwa_elu(float x, float alpha) { return x < 0.0f ? alpha * expm1f(x) : x; }
HWA_FUNCTION float hwa_gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)); }
HWA_FUNCTION float hwa_gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
}
HWA_FUNCTION float hwa_square(float x) { return x * x; }
HWA_FUNCTION float hwa_cube(float x) { return x * x * x; }
"""


def call(name: str, *arguments: Expr) -> Expr:
    """A function of the prelude or of CUDA's mathematics."""
    return tirx.call_pure_extern("float32", name, *arguments)


def _called(name: str) -> Callable[..., Expr]:
    return lambda x, *params: call(name, x, *(const(param) for param in params))


def _clip(x: Expr, low: float, high: float) -> Expr:
    if low != -math.inf:
        x = tirx.max(x, const(low))
    return x if high == math.inf else tirx.min(x, const(high))


def _affine(x: Expr, scale: float, shift: float) -> Expr:
    if scale != 1.0:
        x = x * const(scale)
    return x + const(shift) if shift != 0.0 else x


def _gelu(x: Expr, approximate: str) -> Expr:
    return call("hwa_gelu_tanh" if approximate == "tanh" else "hwa_gelu", x)


UNARY: dict[str, Callable[..., Expr]] = {
    "relu": lambda x: tirx.max(x, const(0.0)),
    "clip": _clip,
    "affine": _affine,
    "silu": _called("hwa_silu"),
    "hardswish": _called("hwa_hardswish"),
    "hardsigmoid": _called("hwa_hardsigmoid"),
    "leaky_relu": _called("hwa_leaky"),
    "gelu": _gelu,
    "sigmoid": _called("hwa_sigmoid"),
    "tanh": _called("tanhf"),
    "elu": _called("hwa_elu"),
    "exp": _called("expf"),
    "square": _called("hwa_square"),
    "cube": _called("hwa_cube"),
    "sqrt": _called("sqrtf"),
    "rsqrt": lambda x: const(1.0) / call("sqrtf", x),
    "reciprocal": lambda x: const(1.0) / x,
    "abs": _called("fabsf"),
}

BINARY: dict[str, Callable[[Expr, Expr], Expr]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "rsub": lambda x, y: y - x,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "rdiv": lambda x, y: y / x,
    "max": tirx.max,
    "min": tirx.min,
    "prelu": lambda x, y: call("hwa_leaky", x, y),
}
