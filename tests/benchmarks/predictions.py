"""Outcomes made up for tests of how they are judged."""

from __future__ import annotations

from typing import Any

from benchmarks.predict.outcome import Measured, OpTime, Outcome, Predicted, Series, TableUse

KEYS = ("conv2d|a", "reduce|b")


def outcome(
    predicted: float | None, measured: float, half: float = 0.1, peaks: tuple[int | None, int | None] = (None, None)
) -> Outcome:
    """A variant with two operations, three and one quarter of it; the interval reaches `half` of it to both sides."""

    def ops(ms: float, provenance: str = "") -> tuple[OpTime, ...]:
        return tuple(
            OpTime(f"op{i}", key, ms * part, provenance)
            for i, (key, part) in enumerate(zip(KEYS, (0.75, 0.25), strict=True))
        )

    said = predicted and Predicted(
        predicted, predicted * (1 - half), predicted * (1 + half), peaks[0], 64, 128, ops(predicted, "interpolated")
    )
    rounds = tuple(measured * part for part in (1.3, 0.99, 1.0, 1.4, 1.01))  # the first and fourth were disturbed
    interval = (measured * 0.99, measured * 1.01)
    clock = Measured(measured, rounds, 1.01 * measured, 0.4, 3, interval, peaks[1], 1e5, ops(measured))
    return Outcome({"group": 3}, said or None, "" if said else "the table has no cost for conv2d|a", clock)


def series(*outcomes: Outcome, family: str = "net", threads: int = 1, **fields: Any) -> Series:
    """Outcomes by a table that took 100 s, and 5 s the second time."""
    use = TableUse("tables/net", 7, True, "0" * 64, 100.0, 5.0)
    whole = Outcome(None, outcome(2.0, 2.0).predicted, "", outcome(2.0, 2.0).measured)
    return Series(
        **(
            {
                "family": family,
                "threads": threads,
                "seed": 1,
                "redrawn": 0,
                "table": use,
                "whole": whole,
                "outcomes": outcomes,
                "predicted_first": True,
            }
            | fields
        )
    )
