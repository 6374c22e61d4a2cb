"""Squares of a matrix turned over in registers: vectors of neighbouring channels become vectors of positions."""

from __future__ import annotations

from collections.abc import Sequence

from tvm.tirx import Shuffle

from hwaware.compiler.tir import Expr, Stmt, bind, integer


def turned(name: str, rows: Sequence[Expr]) -> tuple[list[Expr], list[Stmt]]:
    """The columns of the square whose rows are these vectors, a power of two of them, and what names them.

    Blocks are exchanged by halves: element (i, j) goes to (j, i) one bit of i and j at a time.
    """
    size, found, statements = len(rows), list(rows), []
    half = size // 2
    while half:
        low = [lane if not lane & half else size + (lane ^ half) for lane in range(size)]
        high = [(lane | half) if not lane & half else size + lane for lane in range(size)]
        exchanged = list(found)
        for row in range(size):
            if row & half:
                continue
            pair = [found[row], found[row | half]]
            for place, lanes in ((row, low), (row | half, high)):
                vector = Shuffle(pair, [integer(lane) for lane in lanes])
                exchanged[place], bound = bind(f"{name}_{half}_{place}", vector)
                statements.append(bound)
        found, half = exchanged, half // 2
    return found, statements
