"""What counting does not explain of a cost, interpolated: a Gaussian process over the logarithm of measured / counted.

Two operations are alike if they have the same anchor (all but the steps fused after it), the same steps, widths that
are few octaves apart, tails of the same kind (how the last vector is cut decides alignment), and were timed in the
same state. Equations are those of Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), section
2.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from hwaware.costs.family import Coordinates

Array = NDArray[np.float64]
_AXES = 3


@dataclass(frozen=True)
class Spread:
    """Standard deviations of log(measured / counted) by where they come from; `octaves` is the range of `local`.

    The defaults are about the likeliest ones for tables of nets of several kinds; what each table would choose for
    itself predicted models that were left out no better.
    """

    anchor: float = 0.05
    family: float = 0.02
    local: float = 0.05
    octaves: float = 1.0
    tail: float = 0.03
    state: float = 0.05
    noise: float = 0.015


@dataclass(frozen=True)
class Place:
    """What makes an operation like another: `anchor` and `family` by name, widths, vectors' `lanes`, its state."""

    anchor: str
    family: str
    coordinates: Coordinates
    lanes: int
    state: str

    @property
    def tail(self) -> tuple[int, ...]:
        """For each width, into how many pieces what is left of a vector falls; negative above half of one."""
        rests = [width % max(1, self.lanes) for width in self.coordinates]
        return tuple(-rest.bit_count() if 2 * rest > self.lanes else rest.bit_count() for rest in rests)

    @property
    def octaves(self) -> tuple[float, ...]:
        """Logarithms of the widths, of a fixed number."""
        logs = [float(np.log2(max(1, width))) for width in self.coordinates[:_AXES]]
        return tuple(logs + [0.0] * (_AXES - len(logs)))


class Places:
    """Places as arrays, for comparing many with many."""

    def __init__(self, places: Sequence[Place], codes: dict[object, int] | None = None) -> None:
        self.codes: dict[object, int] = {} if codes is None else codes
        # Known names get numbers that later places are compared by.
        self.anchor = self._numbers([("anchor", place.anchor) for place in places])
        self.family = self._numbers([("family", place.family) for place in places])
        self.tail = self._numbers([("tail", place.anchor, place.tail) for place in places])
        self.state = self._numbers([("state", place.state) for place in places])
        self.at = np.array([place.octaves for place in places], dtype=float).reshape(len(places), _AXES)

    def _numbers(self, names: Sequence[object]) -> NDArray[np.int64]:
        return np.array([self.codes.setdefault(name, len(self.codes)) for name in names], dtype=np.int64)

    def compared(self, other: Places) -> tuple[Array, ...]:
        """Same anchor, family, tail and state (1 or 0), and squared distance in octaves, of each pair."""

        def same(name: str) -> Array:
            return np.equal.outer(getattr(self, name), getattr(other, name)).astype(float)

        apart = ((self.at[:, None, :] - other.at[None, :, :]) ** 2).sum(-1)
        return same("anchor"), same("family"), same("tail"), same("state"), apart


def _covariance(compared: tuple[Array, ...], spread: Spread) -> Array:
    anchor, family, tail, state, apart = compared
    near = np.exp(-0.5 * apart / spread.octaves**2)
    # Tails matter over a wider range of widths than anything else that is local.
    wide = np.exp(-0.125 * apart / spread.octaves**2)
    return (
        spread.anchor**2 * anchor
        + spread.family**2 * family
        + spread.local**2 * anchor * near
        + spread.tail**2 * tail * wide
        + spread.state**2 * anchor * state
    )


class Residual:
    """The process given measured `logs` at `places`; `errors` are standard deviations of measuring them."""

    def __init__(self, places: Sequence[Place], logs: Array, errors: Array, spread: Spread) -> None:
        self.spread = spread
        self._places = Places(places)
        noise = spread.noise**2 + np.asarray(errors) ** 2
        matrix = _covariance(self._places.compared(self._places), spread) + np.diag(noise)
        self._factor = cho_factor(matrix, lower=True)
        self._weights = cho_solve(self._factor, logs)

    def at(self, place: Place) -> tuple[float, float]:
        """Mean and standard deviation at `place`, that of another measurement included."""
        query = Places([place], dict(self._places.codes))
        across = _covariance(query.compared(self._places), self.spread)[0]
        own = float(_covariance(query.compared(query), self.spread)[0, 0])
        half = solve_triangular(self._factor[0], across, lower=True)
        left = max(0.0, own - float(half @ half))
        return float(across @ self._weights), math.sqrt(left + self.spread.noise**2)
