"""Rows of ``cells.csv``: what is written is what is read, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.costs.row import COLUMNS, STATUSES, CellRow, from_fields, statistics_of, to_fields

ROW = CellRow("key", "family", "kind", (4, 8), 1, "ok", **statistics_of([1000.0, 1001.0, 999.5]))


@given(
    status=st.sampled_from(STATUSES),
    throttle=st.sampled_from(["", "throttled", "under_voltage+soft_temperature_limit"]),
    drift=st.none() | st.floats(-0.99, 10),
)
def test_conditions_come_back_as_they_were(status: str, throttle: str, drift: float | None) -> None:
    row = replace(ROW, status=status, throttle=throttle, sentinel_drift=drift)
    assert from_fields(to_fields(row)) == row


def test_throttled_is_usable_with_care() -> None:
    assert replace(ROW, status="throttled").usable
    assert not replace(ROW, status="failed").usable


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("sentinel_drift", "-1"),
        ("sentinel_drift", "nan"),
        ("sentinel_drift", "inf"),
        ("sentinel_drift", "slow"),
        ("status", "hot"),
        ("load1", "-1"),
    ],
)
def test_a_wrong_field_is_named(column: str, text: str) -> None:
    fields = to_fields(ROW)
    fields[COLUMNS.index(column)] = text
    with pytest.raises(ValueError, match=column):
        from_fields(fields)
