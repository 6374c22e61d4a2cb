"""A kernel's argument as its workload sees it: a tensor, wherever its elements lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from hwaware.compiler.tir import Buffer, Expr, Stmt, integer


@dataclass(frozen=True)
class View:
    """A tensor of `shape` in `buffer`, whose rows of channels begin `pitch` elements apart if that is given.

    Without a pitch the buffer has the very shape: TVM's rules tell rows from columns by its dimensions.
    """

    buffer: Buffer
    shape: tuple[int, ...]
    pitch: int | None = None

    @property
    def elements(self) -> int:
        """Elements from the first to the last, those between rows included."""
        return math.prod(int(size) for size in self.buffer.shape)

    def place(self, indices: Sequence[Expr]) -> list[Expr]:
        """Where in the buffer the element at `indices` lies."""
        if self.pitch is None:
            return list(indices)
        pixel: Expr = integer(0)
        for index, size in zip(indices[:-1], self.shape[:-1], strict=True):
            pixel = pixel * size + index
        return [pixel * self.pitch + indices[-1]]

    def load(self, *indices: Expr) -> Expr:
        """The element at `indices`."""
        return tirx.BufferLoad(self.buffer, self.place(indices))

    def store(self, value: Expr, *indices: Expr) -> Stmt:
        """Write the element at `indices`."""
        return tirx.BufferStore(self.buffer, value, self.place(indices))


def view(
    name: str, shape: Sequence[int], dtype: str = "float32", *, pitch: int | None = None, part: bool = False
) -> View:
    """A buffer and its view. Code may count on TVM's alignment of it, unless it is `part` of another."""
    sizes = tuple(max(1, size) for size in shape) or (1,)
    if pitch is not None and pitch <= sizes[-1]:
        pitch = None
    buffer = tirx.decl_buffer(
        sizes if pitch is None else ((math.prod(sizes[:-1]) - 1) * pitch + sizes[-1],),
        dtype,
        name,
        data_alignment=np.dtype(dtype).itemsize if part else -1,
        layout=None,  # TVM's schedules know nothing of layouts
    )
    return View(buffer, sizes, pitch)
