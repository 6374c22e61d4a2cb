"""The ATen operators hwaware knows, by what they do.

A graph that is loaded from a file may name nothing else, and capture decomposes or refuses everything else. The
groups are what the later stages dispatch on; adding an operator means adding it here and to `graph.lower`.
"""

from __future__ import annotations

CONV = frozenset({"conv1d.default", "conv2d.default", "conv_transpose2d.input", "conv_transpose1d.default"})
LINEAR = frozenset({"linear.default"})
MATMUL = frozenset({"matmul.default", "bmm.default"})
ATTENTION = frozenset({"scaled_dot_product_attention.default"})
BATCH_NORM = frozenset({"_native_batch_norm_legit_no_training.default"})
LAYER_NORM = frozenset({"layer_norm.default"})
EMBEDDING = frozenset({"embedding.default"})
POOL = frozenset(
    {
        "max_pool2d.default",
        "max_pool1d.default",
        "avg_pool2d.default",
        "avg_pool1d.default",
        "adaptive_avg_pool2d.default",
        "adaptive_avg_pool1d.default",
    }
)
REDUCE = frozenset({"mean.dim", "sum.dim_IntList", "amax.default", "mean.default"})
SOFTMAX = frozenset({"softmax.int", "log_softmax.int"})
UPSAMPLE = frozenset(
    {
        "upsample_bilinear2d.vec",
        "upsample_nearest2d.vec",
        "upsample_bilinear2d.default",
        "upsample_nearest2d.default",
    }
)
ACTIVATION = frozenset(
    {
        "relu.default",
        "relu6.default",
        "hardtanh.default",
        "clamp.default",
        "clamp_min.default",
        "silu.default",
        "hardswish.default",
        "hardsigmoid.default",
        "leaky_relu.default",
        "prelu.default",
        "gelu.default",
        "sigmoid.default",
        "tanh.default",
        "elu.default",
        "exp.default",
        "sqrt.default",
        "rsqrt.default",
        "neg.default",
        "abs.default",
        "reciprocal.default",
    }
)
BINARY = frozenset({"add.Tensor", "sub.Tensor", "mul.Tensor", "div.Tensor", "maximum.default", "minimum.default"})
SCALAR_BINARY = frozenset({"add.Scalar", "sub.Scalar", "mul.Scalar", "div.Scalar", "rsub.Scalar"})
POWER = frozenset({"pow.Tensor_Scalar"})
RESHAPE = frozenset(
    {
        "view.default",
        "_unsafe_view.default",
        "reshape.default",
        "flatten.using_ints",
        "unsqueeze.default",
        "squeeze.dim",
        "squeeze.dims",
        "squeeze.default",
    }
)
PERMUTE = frozenset({"permute.default", "transpose.int", "t.default"})
EXPAND = frozenset({"expand.default"})
SLICE = frozenset({"slice.Tensor", "select.int"})
CAT = frozenset({"cat.default", "stack.default"})
SHUFFLE = frozenset({"pixel_shuffle.default", "channel_shuffle.default"})
PAD = frozenset({"constant_pad_nd.default", "pad.default"})
DROPOUT = frozenset({"dropout.default"})
IDENTITY = frozenset(
    {"clone.default", "contiguous.default", "alias.default", "detach.default", "lift_fresh_copy.default"}
)
# hwaware's own, of quantised models (`hwaware.graph.integer`) and of stored weights (`hwaware.graph.decode`).
QUANTIZE = frozenset({"hwaware.quantize"})
DEQUANTIZE = frozenset({"hwaware.dequantize"})
INTEGER_CONV = frozenset({"hwaware.conv2d"})
INTEGER_LINEAR = frozenset({"hwaware.linear"})
LEVELS = QUANTIZE | DEQUANTIZE | INTEGER_CONV | INTEGER_LINEAR
DECODE = frozenset(
    {"hwaware.decode_int8", "hwaware.decode_int4", "hwaware.decode_half"}
    | {"hwaware.decode_sparse", "hwaware.decode_codebook"}
)

KNOWN = frozenset().union(
    *(CONV, LINEAR, MATMUL, ATTENTION, BATCH_NORM, LAYER_NORM, EMBEDDING, POOL, REDUCE, SOFTMAX, UPSAMPLE),
    *(ACTIVATION, BINARY, SCALAR_BINARY, POWER, RESHAPE, PERMUTE, EXPAND, SLICE, CAT, SHUFFLE, PAD),
    *(DROPOUT, IDENTITY),
    *(LEVELS, DECODE),
)

# Several outputs at once: capture turns them into slices and selects.
SPLITS = frozenset({"split.Tensor", "split_with_sizes.default", "chunk.default", "unbind.int"})
