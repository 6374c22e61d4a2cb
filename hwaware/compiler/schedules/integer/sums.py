"""The int32 sums of a register tile, which stay in registers.

Some processors multiply two positions with two output channels at once. What they add up, of four channels, are the
sums of channels 0 and 1 of both positions, then those of channels 2 and 3.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tvm.tirx import Shuffle

from hwaware.compiler.tir import Buffer, Expr, Stmt, const, integer, load, local, store


class Sums:
    """Sums of `positions` and of vectors of `widths` channels; `together` neighbouring positions share a buffer."""

    def __init__(self, positions: int, widths: Sequence[int], together: int) -> None:
        self.positions, self.widths, self.together = positions, tuple(widths), together
        # A buffer a vector: LLVM keeps each in a register only if all accesses to it are of one width.
        self._shared = [
            [local(f"acc{first}_{v}", width * together, "int32") for v, width in enumerate(widths)]
            for first in range(0, positions, together)
        ]
        self._own = self._shared
        if together > 1:
            self._own = [[local(f"sum{p}_{v}", w, "int32") for v, w in enumerate(widths)] for p in range(positions)]

    @property
    def buffers(self) -> list[Buffer]:
        """All of them."""
        lists = self._shared if self.together == 1 else [*self._shared, *self._own]
        return [buffer for each in lists for buffer in each]

    def groups(self, positions: Collection[int]) -> list[list[int | None]]:
        """Those that share buffers, in order, None for one that is not among `positions`."""
        starts = sorted({p - p % self.together for p in positions})
        places = ([*range(start, start + self.together)] for start in starts)
        return [[p if p in positions else None for p in group] for group in places]

    def begin(self, v: int, vector: Expr) -> list[Stmt]:
        """Set the sums of vector `v` of each position to `vector`, a name."""
        groups = self.groups(range(self.positions))
        return [self._put(index, v, self._spread(vector, group, v)) for index, group in enumerate(groups)]

    def add(self, v: int, vector: Expr, positions: Collection[int]) -> list[Stmt]:
        """Add `vector` to the sums of vector `v` of some positions."""
        return [
            self.put(group, v, self.of(group, v) + self._spread(vector, group, v)) for group in self.groups(positions)
        ]

    def of(self, group: Sequence[int | None], v: int) -> Expr:
        """The sums of vector `v` of a group."""
        return load(self._shared[self._index(group)][v], integer(0), self.widths[v] * self.together)

    def put(self, group: Sequence[int | None], v: int, value: Expr) -> Stmt:
        """Replace them."""
        return self._put(self._index(group), v, value)

    def by_position(self) -> tuple[list[list[Buffer]], list[Stmt]]:
        """A buffer for each position and vector, and the statements that fill them."""
        if self.together == 1:
            return self._own, []
        statements = []
        for p, buffers in enumerate(self._own):
            row = 2 * (p % 2)
            for v, (buffer, width) in enumerate(zip(buffers, self.widths, strict=True)):
                taken = [integer(index) for index in (row, row + 1, row + 4, row + 5)]
                statements.append(store(buffer, integer(0), Shuffle([self.of([p - p % 2], v)], taken), width))
        return self._own, statements

    def _put(self, index: int, v: int, value: Expr) -> Stmt:
        return store(self._shared[index][v], integer(0), value, self.widths[v] * self.together)

    def _index(self, group: Sequence[int | None]) -> int:
        return next(p for p in group if p is not None) // self.together

    def _spread(self, vector: Expr, group: Sequence[int | None], v: int) -> Expr:
        """`vector` for the positions of a group that there are, 0 for the others."""
        if self.together == 1:
            return vector
        places = [(p, channel) for channels in ((0, 1), (2, 3)) for p in group for channel in channels]
        taken = [integer(channel if p is not None else 4) for p, channel in places]
        return Shuffle([vector, const(0, 4, "int32")], taken)
