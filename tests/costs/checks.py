"""Checks of models that were never run, for tests of what is done with checks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from hwaware.costs.model_check import SOURCES, ModelCheck, digest_of


def check(predicted: float = 1.0, measured: float = 1.0, **fields: Any) -> ModelCheck:
    """A held-out model with an interval of ±5 % around `predicted`."""
    plain = ModelCheck(
        model="net",
        digest=digest_of(["conv2d[a]", "dense[b]"]),
        threads=1,
        held_out=True,
        predicted_ms=predicted,
        low_ms=predicted * 0.95,
        high_ms=predicted * 1.05,
        measured_ms=measured,
        ci95_low_ms=measured * 0.99,
        ci95_high_ms=measured * 1.01,
        predicted_rss=1_000_000,
        measured_rss=1_010_000,
        weights=600_000,
        arena=380_000,
        created="2024-01-01T00:00:00+00:00",
        source="run",
    )
    return replace(plain, **fields)


TIMES = st.floats(1e-3, 1e4)
NAMES = st.text(st.characters(blacklist_categories=["Cc", "Cs"]), min_size=1, max_size=30)


@st.composite
def checks(draw: st.DrawFn) -> ModelCheck:
    """Any check that can be kept."""
    predicted, measured = draw(TIMES), draw(TIMES)
    return check(
        predicted,
        measured,
        model=draw(NAMES),
        digest=digest_of([draw(NAMES)]),
        threads=draw(st.integers(1, 64)),
        held_out=draw(st.booleans()),
        low_ms=predicted * draw(st.floats(0, 1)),
        high_ms=predicted * draw(st.floats(1, 3)),
        predicted_rss=draw(st.none() | st.integers(0, 2**40)),
        measured_rss=draw(st.none() | st.integers(0, 2**40)),
        source=draw(st.sampled_from(SOURCES)),
    )
