"""A bar of the benchmark: what was to be reached, what was measured, and whether that is enough."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """`what` was to be reached, `figure` is what was measured."""

    what: str
    figure: str
    met: bool

    def __str__(self) -> str:
        return f"  {'met   ' if self.met else 'MISSED'}  {self.what}: {self.figure}"


def summary(bars: list[Bar]) -> str:
    """How many are met."""
    return f"  {sum(bar.met for bar in bars)} of {len(bars)} bars met"
