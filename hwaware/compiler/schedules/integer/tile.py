"""The register tile of an integer convolution: begin with the biases, multiply and add over the window, epilogue.

With x the levels and z their zero, Σ (x - z) · w + b = Σ x · w + (b - z · Σ w): what does not depend on x is in the
biases. Taps in the padding are left out of the first sum, where (x - z) would be 0: z · Σ w of theirs is given back.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.direct_tile import Site, write_tile
from hwaware.compiler.schedules.integer.dots import Dot, bits_of
from hwaware.compiler.schedules.window import Run, over_taps
from hwaware.compiler.tir import Block, Buffer, Expr, Stmt, bind, integer, load, local, loop, seq, store, with_local


@dataclass(frozen=True)
class IntegerTile:
    """Writes tiles by `dot`.

    `bias` has a value a channel, `outside` what each row of the window, and then what each tap, gives back, a value a
    channel each; None where there is no padding. Reduction steps of a row of the window are one run of `joined` taps
    and their channels, or of the channels of one tap, padded to a multiple of the dot's depth.
    """

    dot: Dot
    shape: ConvShape
    bias: Buffer
    outside: Buffer | None
    channels: int  # of the output, padded
    joined: bool

    def __call__(self, site: Site, span: Run, image: Expr, row: Expr, column: Expr) -> Stmt:
        """One register tile."""
        block, shape = site.block, self.shape
        sums = [[local(f"acc{p}_{v}", w, "int32") for v, w in enumerate(block.widths)] for p in range(span.width)]
        first = site.group * shape.kg + site.index * block.valid + block.start
        begin = []
        for start, width, *column_of in zip(block.starts, block.widths, *sums, strict=True):
            name, bound = bind(f"b{start}", load(self.bias, first + start, width))
            begin += [bound, *(store(total, integer(0), name, width) for total in column_of)]

        def give_back(index: Expr, positions: list[int]) -> list[Stmt]:
            """What is lost by leaving out row or tap `index` for some positions."""
            assert self.outside is not None
            return [
                store(sums[p][v], integer(0), load(sums[p][v], integer(0), width)
                      + load(self.outside, index * self.channels + first + start, width), width)
                for p in positions
                for v, (start, width) in enumerate(zip(block.starts, block.widths, strict=True))
            ]  # fmt: skip

        def line(r: Expr) -> Stmt:
            at = image * shape.rows.size + (row * shape.rows.stride - shape.rows.pad + r * shape.rows.dilation)
            statements = []
            for first_tap, count, positions in self._segments(span):
                statements.append(self._reduce(site, first_tap, count, positions, at, column, r, sums))
            for tap in range(shape.columns.taps):
                beyond = [p for p in range(span.width) if not self._inside(span, p, tap)]
                if beyond:
                    statements += give_back(shape.rows.taps + r * shape.columns.taps + tap, beyond)
            return seq(statements)

        reduce = over_taps(shape.rows, row, line, lambda r: seq(give_back(r, list(range(span.width)))))
        flat = [total for line_ in sums for total in line_]
        return with_local(flat, seq([*begin, reduce, *write_tile(site, span, image, row, column, sums)]))

    def _inside(self, span: Run, position: int, tap: int) -> bool:
        # In a run of several tiles all taps are inside; a tile alone knows its columns.
        return span.count > 1 or self.shape.columns.inside(span.start + position, tap)

    def _segments(self, span: Run) -> list[tuple[int, int, list[int]]]:
        """First tap, count and positions of each loop over a row of the window."""
        taps = range(self.shape.columns.taps)
        if self.joined:
            return [(0, len(taps), list(range(span.width)))]
        found = [(tap, 1, [p for p in range(span.width) if self._inside(span, p, tap)]) for tap in taps]
        return [each for each in found if each[2]]

    def _reduce(
        self,
        site: Site,
        first_tap: int,
        taps: int,
        positions: list[int],
        line: Expr,
        column: Expr,
        r: Expr,
        sums: list[list[Buffer]],
    ) -> Stmt:
        block, shape, depth = site.block, self.shape, self.dot.depth
        axis = shape.columns
        run = taps * shape.cg
        packed = -(-run // depth) * depth
        first_weight = site.first_weight + ((r * (1 if self.joined else axis.taps) + first_tap) * packed) * block.padded
        pitch = site.builder.workload.in_pitch
        names = Block()
        place = line * axis.size + column * axis.stride + (first_tap * axis.dilation - axis.pad)
        pixel = names.keep(place * pitch + site.group * shape.cg, 1)
        offsets = [0, *accumulate(width * depth for width in block.widths)]

        def step(c: Expr, valid: int) -> Stmt:
            statements: list[Stmt] = []
            weights = []
            for v, width in enumerate(block.widths):
                at = first_weight + c * block.padded + offsets[v]
                vectors = self.dot.weights(load(site.weight, at, width * depth), width)
                kept = [bind(f"w{v}_{i}", vector) for i, vector in enumerate(vectors)]
                statements += [bound for _, bound in kept]
                weights.append(tuple(name for name, _ in kept))
            for p in positions:
                bits, bound = bind(
                    f"x{p}",
                    bits_of(
                        lambda offset, count, p=p: load(  # type: ignore[misc]
                            site.builder.inputs[0], pixel + (p * axis.stride * pitch) + c + offset, count
                        ),
                        depth, valid,
                    ),
                )  # fmt: skip
                statements.append(bound)
                by_width = {}
                for width in dict.fromkeys(block.widths):
                    kept = [bind(f"x{p}_{width}_{i}", v) for i, v in enumerate(self.dot.inputs(bits, width))]
                    statements += [bound for _, bound in kept]
                    by_width[width] = tuple(name for name, _ in kept)
                for v, width in enumerate(block.widths):
                    total = load(sums[p][v], integer(0), width)
                    added = self.dot.add(total, by_width[width], weights[v], width)
                    statements.append(store(sums[p][v], integer(0), added, width))
            return seq(statements)

        full, rest = divmod(run, depth)
        body = [loop("c", full, lambda c: step(c * depth, depth))] if full else []
        if rest:
            body.append(step(integer(full * depth), rest))
        return seq([*names.statements, *body])
