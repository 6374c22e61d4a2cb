"""Unscheduled TIR: blocks in order, each one loop nest that fills one buffer element by element.

A block names what it reads and writes, one element of each; TVM's rules inline, tile and bind it from that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tvm_ffi
from tvm import ir, tirx
from tvm.s_tir import SBlock, SBlockRealize

from hwaware.compiler.cuda.views import View, view
from hwaware.compiler.tir import Expr, Stmt, const, integer, seq

Element = Callable[[Sequence[Expr]], Expr]  # of the indices of a block
Term = Callable[[Sequence[Expr], Sequence[Expr]], Expr]  # of the indices of the result, and of what is reduced
Combine = Callable[[Expr, Expr], Expr]
# Where a maximum begins: the least float, as infinities are no literals of C.
LOWEST = -3.4028234663852886e38
_SPATIAL, _REDUCED = tirx.IterVar.DataPar, tirx.IterVar.CommReduce


def add(total: Expr, term: Expr) -> Expr:
    """A sum; the total must come first for TVM's rules to know it."""
    return total + term


class Blocks:
    """Blocks in the making."""

    def __init__(self) -> None:
        self._statements: list[Stmt] = []
        self._allocated: list[Any] = []

    def temporary(self, name: str, shape: Sequence[int]) -> View:
        """A tensor between two blocks; most are inlined, or become registers."""
        made = view(name, shape)
        self._allocated.append(made.buffer)
        return made

    def compute(self, name: str, shape: Sequence[int], element: Element) -> View:
        """A new tensor of `shape`."""
        made = self.temporary(name, shape)
        self.store(name, shape, element, made)
        return made

    def store(
        self,
        name: str,
        extents: Sequence[int],
        element: Element,
        into: View,
        at: Callable[[Sequence[Expr]], Sequence[Expr]] = tuple,
    ) -> None:
        """A block over `extents` that writes `element` of its indices to the place `at` them."""
        loops, axes = _variables(extents)
        body = into.store(element(axes), *at(axes))
        block = SBlock(
            [_iterator(axis, size, _SPATIAL) for axis, size in zip(axes, extents, strict=True)],
            _regions(body.value),
            [_region(into, at(axes))],
            name,
            body,
        )
        self._statements.append(_nest(loops, extents, block))

    def reduce(
        self,
        name: str,
        shape: Sequence[int],
        over: Sequence[int],
        term: Term,
        *,
        start: float = 0.0,
        combine: Combine = add,
    ) -> View:
        """A new tensor of `shape`: `combine` of all terms `over` the reduced extents, from `start` on."""
        if math.prod(over) == 1:
            # TVM drops loops of one step, and a reduction without loops is none to its rules.
            return self.compute(name, shape, lambda kept: term(kept, [integer(0)] * len(over)))
        made = self.temporary(name, shape)
        extents = (*shape, *over)
        loops, axes = _variables(extents)
        kept, reduced = axes[: len(shape)], axes[len(shape) :]
        value = term(kept, reduced)
        kinds = [_SPATIAL] * len(shape) + [_REDUCED] * len(over)
        block = SBlock(
            [_iterator(axis, size, kind) for axis, size, kind in zip(axes, extents, kinds, strict=True)],
            _regions(value),
            [_region(made, kept)],
            name,
            made.store(combine(made.load(*kept), value), *kept),
            init=made.store(const(start), *kept),
        )
        self._statements.append(_nest(loops, extents, block))
        return made

    def function(self, parameters: Sequence[View]) -> Any:
        """All blocks as a function that TVM can schedule; parameters never overlap."""
        root = SBlock([], [], [], "root", seq(self._statements), alloc_buffers=self._allocated)
        made = tirx.PrimFunc([item.buffer for item in parameters], SBlockRealize([], True, root))
        return made.with_attr("global_symbol", "main").with_attr("tirx.noalias", True).with_attr("s_tir", True)


def _variables(extents: Sequence[int]) -> tuple[list[Expr], list[Expr]]:
    """A loop's variable and the block's own for each extent."""
    numbers = range(len(extents))
    return [tirx.Var(f"i{n}", "int32") for n in numbers], [tirx.Var(f"v{n}", "int32") for n in numbers]


def _iterator(axis: Expr, size: int, kind: int) -> Any:
    return tirx.IterVar(ir.Range.from_min_extent(integer(0), integer(size)), axis, kind)


def _nest(loops: Sequence[Expr], extents: Sequence[int], block: Any) -> Stmt:
    body: Stmt = SBlockRealize(list(loops), True, block)
    for loop, size in zip(reversed(loops), reversed(extents), strict=True):
        body = tirx.For(loop, integer(0), integer(size), tirx.ForKind.SERIAL, body)
    return body


def _region(into: View, indices: Sequence[Expr]) -> Any:
    return tirx.BufferRegion(into.buffer, [_one(index) for index in into.place(indices)])


def _one(index: Expr) -> Any:
    return ir.Range.from_min_extent(index, integer(1))


def _regions(value: Expr) -> list[Any]:
    """What an expression reads, each element once, in the order of reading.

    Where an index is itself read from memory nothing is known of it: the whole of that dimension may be read.
    """
    found: list[Any] = []
    for load in _loads(value):
        ranges = [
            ir.Range.from_min_extent(integer(0), integer(int(size))) if _loads(index) else _one(index)
            for index, size in zip(load.indices, load.source.shape, strict=True)
        ]
        region = tirx.BufferRegion(load.source, ranges)
        if not any(_same(region, other) for other in found):
            found.append(region)
    return found


def _same(region: Any, other: Any) -> bool:
    """Whether two regions are one; structural equality alone takes two buffers of one shape for the same."""
    return bool(region.source.same_as(other.source)) and bool(tvm_ffi.structural_equal(region.region, other.region))


def _loads(value: Expr) -> list[Any]:
    found: list[Any] = []
    tvm_ffi.structural_walk(value, (ir.TensorLoad, found.append), order="post")
    return found
