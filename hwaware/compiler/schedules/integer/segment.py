"""A run of input channels that lie next to each other, multiplied with their weights for all positions of a tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwaware.compiler.schedules.direct_tile import Site
from hwaware.compiler.schedules.integer.dots import Dot, Vectors
from hwaware.compiler.schedules.integer.sums import Sums
from hwaware.compiler.tir import Expr, Stmt, bind, integer, load, loop, pieces, seq


@dataclass(frozen=True)
class Segment:
    """`count` channels of each of `positions`, of which `read(position, channel, n)` brings `n` from one on.

    Products by `dot` with the weights from `first_weight` on are added to `sums`.
    """

    dot: Dot
    site: Site
    sums: Sums
    positions: Sequence[int]
    read: Callable[[int, Expr, int], Expr]
    first_weight: Expr
    count: int

    def body(self) -> Stmt:
        """A loop over as many channels as are read at once, and what is left of them."""
        depth = self.dot.depth
        most = depth * self.dot.ahead
        full, rest = divmod(self.count, most)
        start, last = full * most, rest % depth
        statements = [loop("c", full, lambda c: self._channels(c * most, most))]
        for step, steps in pieces(rest // depth, self.dot.ahead):
            statements.append(self._channels(integer(start + step * depth), steps * depth))
        if last:
            statements.append(self._channels(integer(self.count - last), last))
        return seq(statements)

    def _channels(self, c: Expr, count: int) -> Stmt:
        """The `count` channels from `c` on, read at once."""
        names = _Names()
        words = {}
        for p in self.positions:
            levels = self.dot.levels(lambda o, n, p=p: self.read(p, c + o, n), count)  # type: ignore[misc]
            (words[p],) = names.keep(f"x{p}", (levels,))
        for index in range(-(-count // self.dot.depth)):
            self._step(names, index, self.first_weight + (c + index * self.dot.depth) * self.site.block.padded, words)
        return seq(names.statements)

    def _step(self, names: _Names, index: int, weights: Expr, words: dict[int, Expr]) -> None:
        """Step `index` of the channels in `words`."""
        block, dot = self.site.block, self.dot
        vectors = range(len(block.widths))
        groups = self.sums.groups(self.positions)

        def of_group(number: int) -> dict[int, Vectors]:
            levels = [None if p is None else words[p] for p in groups[number]]
            widths = dict.fromkeys(block.widths)
            return {width: names.keep(f"x{number}_{width}", dot.inputs(levels, index, width)) for width in widths}

        def of_vector(v: int) -> Vectors:
            at = weights + block.starts[v] * dot.depth
            return names.keep(f"w{v}", dot.weights(lambda o, n: load(self.site.weight, at + o, n), block.widths[v]))

        def add(number: int, v: int, inputs: dict[int, Vectors], factors: Vectors) -> None:
            group, width = groups[number], block.widths[v]
            added = dot.add(self.sums.of(group, v), inputs[width], factors, width)
            names.statements.append(self.sums.put(group, v, added))

        # What there is less of stays in registers while the others pass: LLVM keeps to this order.
        if len(vectors) <= len(self.positions):
            factors = [of_vector(v) for v in vectors]
            for number in range(len(groups)):
                inputs = of_group(number)
                for v in vectors:
                    add(number, v, inputs, factors[v])
        else:
            inputs_of = [of_group(number) for number in range(len(groups))]
            for v in vectors:
                vector = of_vector(v)
                for number, inputs in enumerate(inputs_of):
                    add(number, v, inputs, vector)


class _Names:
    """Statements in the making, with names for values that are used more than once."""

    def __init__(self) -> None:
        self.statements: list[Stmt] = []

    def keep(self, name: str, values: Vectors) -> Vectors:
        """The names of `values`."""
        kept = [bind(f"{name}_{index}", value) for index, value in enumerate(values)]
        self.statements += [bound for _, bound in kept]
        return tuple(each for each, _ in kept)
