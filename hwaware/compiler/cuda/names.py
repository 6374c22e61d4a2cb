"""Names of the ways to write a GPU kernel; each begins with `PREFIX`."""

from __future__ import annotations

PREFIX = "gpu_"
# TVM's rules for products, for a vector's product, for sums, for rows; and ours: an element of the output a thread.
MATMUL, GEMV, REDUCE, ROWS, ELEMENT = (PREFIX + name for name in ("matmul", "gemv", "reduce", "rows", "element"))
