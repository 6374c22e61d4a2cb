"""The weights of a layer as blocks, each one of a codebook's codewords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwaware.compiler.kernel import KernelBuilder
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.tir import Buffer, Expr, Stmt, cast, load, over_vectors, store
from hwaware.graph.workload import CODEBOOK, STORED, Workload

_MOST_BYTE = 256


@dataclass(frozen=True)
class Form:
    """`words` codewords of `depth` neighbouring weights of a row, in the order (input channel, height, width)."""

    words: int
    depth: int

    @classmethod
    def of(cls, workload: Workload) -> Form:
        """What the workload's attribute says."""
        words, depth = str(workload.attr(STORED)).removeprefix(CODEBOOK).split("x")
        return cls(int(words), int(depth))


@dataclass(frozen=True)
class Codes:
    """`codes` are ``[channels of a piece][block of a row]``, pieces turned over; `words` the codebook in float16."""

    form: Form
    codes: Buffer
    words: Buffer
    blocks: int

    def word(self, index: Expr) -> Expr:
        """Where a codeword begins in the codebook, of the code at `index`."""
        return cast("int32", load(self.codes, index)) * self.form.depth

    def unpacked(self, room: Buffer, base: Expr, lanes: int) -> Stmt:
        """The codebook in float32, at `base` of `room`."""
        size = self.form.words * self.form.depth

        def vector(at: Expr, width: int) -> Stmt:
            return store(room, base + at, cast("float32", load(self.words, at, width), width), width)

        return over_vectors("word", size, lanes, vector)


def codes(builder: KernelBuilder, shape: ConvShape, pieces: Sequence[tuple[int, int, int]]) -> Codes:
    """Declare them; `pieces` are (first channel, channels, padded channels), each ``[block of a row][channel]``."""
    form = Form.of(builder.workload)
    blocks = shape.steps // form.depth
    dtype = "uint8" if form.words <= _MOST_BYTE else "uint16"

    def pack(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        rows = constants["codes"].reshape(shape.kg, blocks)
        parts = [
            np.pad(rows[first : first + count], ((0, padded - count), (0, 0))).T.reshape(-1)
            for first, count, padded in pieces
        ]
        return np.concatenate(parts).astype(dtype)

    size = blocks * sum(padded for _, _, padded in pieces)
    held = builder.constant("codes", size, pack, dtype, limit=form.words)
    words = builder.constant(
        "words", form.words * form.depth, lambda constants: constants["codebook"].astype(np.float16), "float16"
    )
    return Codes(form, held, words, blocks)
