"""Four neighbouring indices of a table, read at once where they are short."""

from __future__ import annotations

from tvm import tirx

from hwaware.compiler.tir import Buffer, Expr, Stmt, bind, cast, load

_WORDS = {"uint8": ("uint32", 8), "uint16": ("uint64", 16)}


def four(buffer: Buffer, index: Expr) -> tuple[list[Expr], list[Stmt]]:
    """The indices at `index` and behind it, and what binds their names.

    Loads are what such kernels have too many of: one brings four bytes or short words, which are cut apart.
    """
    dtype = str(buffer.dtype)
    if dtype not in _WORDS:
        return [cast("int32", load(buffer, index + number)) for number in range(4)], []
    wide, bits = _WORDS[dtype]
    word, bound = bind("word", tirx.reinterpret(wide, load(buffer, index, 4)))
    parts = [tirx.shift_right(word, tirx.const(bits * number, wide)) for number in range(4)]
    mask = tirx.const((1 << bits) - 1, wide)
    return [cast("int32", tirx.bitwise_and(part, mask)) for part in parts], [bound]
