"""Pooling, reductions and resampling."""

from __future__ import annotations

import math

import numpy as np

from hwaware.graph.ir import Node, Spec
from hwaware.graph.lower.anchors import _pair, image
from hwaware.graph.lower.builder import Builder, Value, channels_last, is_dense, memory_order


def pool(builder: Builder, node: Node) -> Value:
    """Maximum and average pooling over fixed windows."""
    args = node.args
    value = builder.value(args["self"], node)
    rank = len(value.sizes)
    kernel = _pair(args["kernel_size"], rank, 1)
    stride = _pair(args["stride"], rank, 1) if args["stride"] else kernel
    attrs: dict[str, object] = {
        "mode": "max" if node.op.startswith("max") else "avg",
        "kernel": kernel,
        "stride": stride,
        "padding": _pair(args["padding"], rank, 0),
        "dilation": _pair(args["dilation"], rank, 1) if "dilation" in args else (1, 1),
        "count_include_pad": bool(args.get("count_include_pad", True)),
    }
    if args.get("divisor_override") is not None:
        raise builder.refuse(node, "divisor_override is not supported")
    return _emit_pool(builder, node, value, attrs)


def _emit_pool(builder: Builder, node: Node, value: Value, attrs: dict[str, object]) -> Value:
    buffer, spec, _ = image(builder, node, value)
    rank = len(value.sizes)
    result = builder.emit(
        node, "pool2d", [(buffer, spec)], node.spec.shape, channels_last(rank), attrs, dtype=node.spec.dtype
    )
    op = builder.producer[result.buffer]
    if rank == 3:
        n, width, c = op.output_spec.shape
        op.output_spec = Spec((n, 1, width, c), op.output_spec.dtype)
    return result


def adaptive_pool(builder: Builder, node: Node) -> Value:
    """Adaptive average pooling: the global mean, equal windows, or windows that overlap by a row."""
    value = builder.value(node.args["self"], node)
    rank = len(value.sizes)
    if rank != (3 if "1d" in node.op else 4):
        raise builder.refuse(node, f"an input of rank {rank} is not supported, it needs a batch dimension")
    if all(size == 1 for size in node.spec.shape[2:]):
        return _reduce_dims(builder, node, value, tuple(range(2, rank)), "mean", keepdim=True)
    out_h, out_w = _pair(tuple(node.spec.shape[2:]), rank, 1)
    in_h, in_w = _pair(tuple(value.sizes[2:]), rank, 1)
    if in_h % out_h == 0 and in_w % out_w == 0:
        kernel = (in_h // out_h, in_w // out_w)
        attrs: dict[str, object] = {"mode": "avg", "kernel": kernel, "stride": kernel, "padding": (0, 0)}
        attrs |= {"dilation": (1, 1), "count_include_pad": True}
        return _emit_pool(builder, node, value, attrs)
    adaptive: dict[str, object] = {"mode": "adaptive_avg"}
    return _emit_pool(builder, node, value, adaptive)


def reduce(builder: Builder, node: Node) -> Value:
    """Mean, sum and maximum over dimensions."""
    value = builder.value(node.args["self"], node)
    rank = len(value.sizes)
    dims = node.args.get("dim")
    chosen = tuple(range(rank))
    if isinstance(dims, tuple) and dims:
        chosen = tuple(d % rank for d in dims if isinstance(d, int))
    mode = {"mean": "mean", "sum": "sum", "amax": "max"}[node.op.split(".")[0]]
    return _reduce_dims(builder, node, value, chosen, mode, keepdim=bool(node.args.get("keepdim", False)))


def _reduce_dims(
    builder: Builder, node: Node, value: Value, dims: tuple[int, ...], mode: str, *, keepdim: bool
) -> Value:
    """Reduce where the reduced dimensions are neighbours in memory; bring them together where they are not."""
    rank = len(value.sizes)
    order = memory_order(value.view) or tuple(range(rank))
    positions = sorted(order.index(d) for d in dims if value.sizes[d] > 1)
    if positions and positions != list(range(positions[0], positions[0] + len(positions))):
        order = (*(d for d in range(rank) if d not in dims), *sorted(dims))
    buffer, _, dense = builder.dense_input(value, order, node)
    real = [d for d in order if dense.sizes[d] > 1]
    marks = [d in dims for d in real]
    first = marks.index(True) if True in marks else len(real)
    last = len(real) - marks[::-1].index(True) if True in marks else len(real)
    outer = math.prod(dense.sizes[d] for d in real[:first])
    middle = math.prod(dense.sizes[d] for d in real[first:last])
    inner = math.prod(dense.sizes[d] for d in real[last:])
    kept = [d for d in order if d not in dims]
    if keepdim:
        out_order: tuple[int, ...] = order
    else:
        names = sorted(kept)
        out_order = tuple(names.index(d) for d in kept)
    spec = Spec((outer, middle, inner), "float32")
    result = builder.emit(node, "reduce", [(buffer, spec)], node.spec.shape, out_order, {"mode": mode})
    builder.producer[result.buffer].output_spec = Spec((outer, inner), "float32")
    assert is_dense(result.view, out_order)
    return result


def upsample(builder: Builder, node: Node) -> Value:
    """Nearest and bilinear resampling; source rows and weights are tables, so every scale is the same kernel."""
    value = builder.value(next(iter(node.args.values())), node)
    buffer, spec, _ = image(builder, node, value)
    bilinear = "bilinear" in node.op
    align = bool(node.args.get("align_corners", False))
    scales = _scales(node)
    constants: dict[str, np.ndarray] = {}
    for axis, name in ((0, "h"), (1, "w")):
        size_in, size_out = value.sizes[2 + axis], node.spec.shape[2 + axis]
        low, high, fraction = _taps(size_in, size_out, scales[axis], bilinear, align)
        constants |= {f"{name}_low": low, f"{name}_high": high, f"{name}_fraction": fraction}
    attrs: dict[str, object] = {"mode": "bilinear" if bilinear else "nearest"}
    return builder.emit(node, "resample", [(buffer, spec)], node.spec.shape, channels_last(4), attrs, constants)


def _scales(node: Node) -> tuple[float | None, float | None]:
    factors = node.args.get("scale_factors")
    if isinstance(factors, tuple):
        return float(factors[0]), float(factors[1])  # type: ignore[arg-type]
    h, w = node.args.get("scales_h"), node.args.get("scales_w")
    return (float(h) if isinstance(h, float) else None, float(w) if isinstance(w, float) else None)


def _taps(
    size_in: int, size_out: int, scale: float | None, bilinear: bool, align: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper source index and the upper one's weight for every output position."""
    target = np.arange(size_out, dtype=np.float32)
    ratio = np.float32(1.0 / scale) if scale else np.float32(size_in / size_out)
    if not bilinear:
        low = np.minimum(np.floor(target * ratio).astype(np.int32), size_in - 1)
        return low, low, np.zeros(size_out, np.float32)
    if align:
        source = target * np.float32((size_in - 1) / (size_out - 1)) if size_out > 1 else target * 0
    else:
        source = np.maximum((target + np.float32(0.5)) * ratio - np.float32(0.5), np.float32(0.0))
    low = np.minimum(np.floor(source).astype(np.int32), size_in - 1)
    high = np.minimum(low + 1, size_in - 1).astype(np.int32)
    return low, high, (source - low).astype(np.float32)
