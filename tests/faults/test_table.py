"""The table in README.md and the tests beside it are the same list."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.test_answers import ANSWERS

HERE = Path(__file__).parent
LEAST = 25


def test_each_line_is_a_test_and_each_test_a_line() -> None:
    listed = re.findall(r"^\| .* \| `(test_[^`]+)` \|$", (HERE / "README.md").read_text(), re.MULTILINE)
    named = {
        name
        for path in HERE.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
        if path != Path(__file__)
    }
    expected = {*named, *(f"test_answers_that_are_none[{answer}]" for answer in ANSWERS)}
    assert sorted(listed) == sorted(expected - {"test_answers_that_are_none"})
    assert len(listed) >= LEAST
