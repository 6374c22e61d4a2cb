"""What makes two measurements strangers, and how it is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.costs.identity import check_identity, difference, first_difference, identity_of, power_of
from hwaware.errors import TableError
from tests.costs.tables import FINGERPRINT, TOOLCHAIN, manifest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(a=JSON, b=JSON)
def test_a_difference_is_told_where_there_is_one_and_only_there(a: Any, b: Any) -> None:
    assert difference("it", a, a) is None
    assert (difference("it", {"x": a}, {"x": b}) is None) == (a == b or _only_nones(a, b))


def _only_nones(a: Any, b: Any) -> bool:
    """A key that is absent and one that is null say the same."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(a.get(key) == b.get(key) or _only_nones(a.get(key), b.get(key)) for key in {*a, *b})
    return bool(a == b)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fingerprint": {**FINGERPRINT, "cpus": 4}}, "device cpus: 2 in the table, 4 here"),
        ({"fingerprint": {**FINGERPRINT, "features": ["avx2"]}}, "device features: the table with fma"),
        ({"emulated": True}, "emulated: False in the table, True here"),
        ({"toolchain": {**TOOLCHAIN, "tvm": "0.28"}}, "toolchain tvm: '0.27.0' in the table, '0.28' here"),
        ({"threads": 2}, "threads: 1 in the table, 2 here"),
        ({"protocol": "as-shipped"}, "protocol: 'pinned' in the table, 'as-shipped' here"),
        ({"conditions": {"power_mode": "15W", "governor": None}}, "power mode: None in the table, '15W' here"),
        ({"rule": {"displace_kb": 512, "min_count": 9}}, "measuring rule min_count: None in the table, 9 here"),
    ],
)
def test_each_difference_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(TableError, match=said) as caught:
        check_identity(manifest(), identity_of(manifest(**fields)))
    assert "\n" not in str(caught.value)
    assert "hwaware profile" in str(caught.value)


@pytest.mark.parametrize("fields", [{}, {"fingerprint": {**FINGERPRINT, "sha256": "1" * 64}}, {"device": "its twin"}])
def test_what_is_alike_is_accepted(fields: dict[str, Any]) -> None:
    check_identity(manifest(), identity_of(manifest(**fields)))


def test_what_is_not_asked_decides_nothing() -> None:
    check_identity(manifest(), {"toolchain": dict(TOOLCHAIN)})


def power(governor: str | None, mode: str | None = None, locked: bool = False) -> dict[str, Any]:
    return {"power": power_of({"governor": governor, "power_mode": mode, "frequency_locked": locked})}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (power("performance"), power("schedutil")),
        (power("performance"), power("powersave")),
        (power("ondemand,performance"), power("performance")),
        (power(None, "MAXN"), power(None, "15W")),
        (power(None, "MAXN"), power(None, None)),
    ],
)
def test_power_modes_that_differ(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    found = first_difference(ours, theirs)
    assert found is not None
    assert found.startswith("power ")
    assert first_difference(theirs, ours) is not None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (power("schedutil"), power("ondemand")),
        (power("ondemand,performance"), power("performance,interactive")),
        (power(None), power("performance")),
        (power("schedutil", locked=True), power("performance")),
        (power("performance", "MAXN"), power("performance", "MAXN")),
    ],
)
def test_power_modes_that_do_not(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert first_difference(ours, theirs) is None
    assert first_difference(theirs, ours) is None
