"""Winograd's minimal filtering F(m, 3) in one dimension: exact matrices, and the transforms on vectors in registers.

Toom-Cook's construction: with n = m + 2 points p_0 … p_{n-2} and infinity, ``y = Aᵀ[(G g) ⊙ (Bᵀ d)]`` gives m outputs
of a filter g of three taps on n inputs d. In two dimensions both are applied along rows and along columns (Lavin and
Gray, "Fast algorithms for convolutional neural networks", CVPR 2016). The points are 0, infinity and pairs ±a: a pair
shares its even and its odd part, and dyadic a make every constant of A and B exact in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np

from hwaware.compiler.tir import Block, Expr, const

TAPS = 3
# Of all pairs of eighths up to 3, (5/8, 13/8) have the smallest error bound and the smallest measured error:
# less than half the error of the customary ±1, ±2.
_MAGNITUDES: dict[int, tuple[Fraction, ...]] = {2: (Fraction(1),), 4: (Fraction(5, 8), Fraction(13, 8))}
Matrix = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Filtering:
    """F(m, 3): `outputs` is m, `magnitudes` the pairs ±a. Points are in the order 0, +a, -a, +b, -b, …, infinity."""

    outputs: int
    magnitudes: tuple[Fraction, ...]

    @property
    def points(self) -> int:
        """Inputs of a tile, and products."""
        return self.outputs + TAPS - 1

    @property
    def finite(self) -> list[Fraction]:
        """The points but infinity."""
        return [Fraction(0), *(sign * a for a in self.magnitudes for sign in (1, -1))]

    @property
    def inputs_matrix(self) -> Matrix:
        """Bᵀ, n × n: coefficients of the products of (x - q) over the other points q, so monic but for none."""
        finite = self.finite
        rows = [_polynomial([q for q in finite if q != p], self.points) for p in finite]
        return (*rows, _polynomial(finite, self.points))

    @property
    def weights_matrix(self) -> Matrix:
        """G, n × 3."""
        rows = []
        for p in self.finite:
            scale = prod((p - q for q in self.finite if q != p), start=Fraction(1))
            rows.append(tuple(p**k / scale for k in range(TAPS)))
        return (*rows, (Fraction(0),) * (TAPS - 1) + (Fraction(1),))

    @property
    def outputs_matrix(self) -> Matrix:
        """Aᵀ, m × n."""
        last = self.outputs - 1
        return tuple((*(p**i for p in self.finite), Fraction(int(i == last))) for i in range(self.outputs))

    def weights(self, weight: np.ndarray) -> np.ndarray:
        """G g Gᵀ of (K, C, 3, 3) weights in float64: (n, n, C, K)."""
        g = as_array(self.weights_matrix)
        return np.einsum("ir,kcrs,js->ijck", g, weight.astype(np.float64), g, optimize=True)

    def inputs(self, block: Block, d: Sequence[Expr], lanes: int) -> list[Expr]:
        """Bᵀ d for n vectors: a pair's rows are E + a·O and E - a·O."""
        squares = [a * a for a in self.magnitudes]
        whole = _even(squares)
        result = [_combine(block, whole, d[0::2], lanes)]
        for index, a in enumerate(self.magnitudes):
            part = _even([square for other, square in enumerate(squares) if other != index])
            even = _combine(block, part, d[2::2], lanes)
            odd = _combine(block, part, d[1:-1:2], lanes)
            scaled = _scaled(odd, a, lanes)
            result += [block.keep(even + scaled, lanes), block.keep(even - scaled, lanes)]
        return [*result, _combine(block, whole, d[1::2], lanes)]

    def results(self, block: Block, m: Sequence[Expr], lanes: int) -> list[Expr]:
        """Aᵀ m for n vectors: even rows read a pair's sum, odd rows its difference."""
        sums = [block.keep(m[i] + m[i + 1], lanes) for i in range(1, len(m) - 1, 2)]
        differences = [block.keep(m[i] - m[i + 1], lanes) for i in range(1, len(m) - 1, 2)]
        result = []
        for i in range(self.outputs):
            terms = [
                _scaled(x, a**i, lanes) for x, a in zip(differences if i % 2 else sums, self.magnitudes, strict=True)
            ]
            if i == 0:
                terms.insert(0, m[0])
            if i == self.outputs - 1:
                terms.insert(0, m[-1])
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            result.append(block.keep(total, lanes))
        return result


def filtering(outputs: int) -> Filtering:
    """F(m, 3) for m = `outputs`, 2 or 4."""
    return Filtering(outputs, _MAGNITUDES[outputs])


def as_array(matrix: Matrix) -> np.ndarray:
    """A matrix in float64."""
    return np.array([[float(value) for value in row] for row in matrix])


def _polynomial(roots: Sequence[Fraction], length: int) -> tuple[Fraction, ...]:
    """Coefficients of the product of (x - root), constant first, padded with zeros to `length`."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [s - root * c for s, c in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return (*coefficients, *[Fraction(0)] * (length - len(coefficients)))


def _even(squares: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of x⁰, x², x⁴, … in the product of (x² - square)."""
    return list(_polynomial(squares, len(squares) + 1))


def _combine(block: Block, coefficients: Sequence[Fraction], values: Sequence[Expr], lanes: int) -> Expr:
    """The sum of coefficient · value, whose last coefficient is one."""
    total = values[-1]
    for coefficient, value in zip(coefficients[:-1], values[:-1], strict=True):
        total = total + _scaled(value, coefficient, lanes)
    return block.keep(total, lanes)


def _scaled(value: Expr, factor: Fraction, lanes: int) -> Expr:
    return value if factor == 1 else value * const(float(factor), lanes)
