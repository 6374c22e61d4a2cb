"""Choices as text, and the names of what is made from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.compiler.choice import Choice, Variant
from hwaware.compiler.kernel import SERIAL
from hwaware.compiler.schedules import SCHEDULES, candidates, generate, variant
from hwaware.compiler.targets import base_target
from hwaware.errors import BuildError
from hwaware.graph.workload import Workload
from tests.compiler.families import FAMILIES, program_of
from tests.costs.tables import conv, pool

WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
CHOICES = st.builds(
    lambda name, params: Choice.of(name, **params),
    WORDS,
    st.dictionaries(WORDS.filter(lambda word: word != "schedule"), st.integers(0, 999_999_999), max_size=6),
)
X86 = base_target("x86_64-avx2")


@given(CHOICES)
def test_a_choice_is_read_as_it_was_written(choice: Choice) -> None:
    assert Choice.parse(str(choice)) == choice


@given(CHOICES, CHOICES)
def test_different_choices_have_different_text_and_symbols(a: Choice, b: Choice) -> None:
    work = conv(4, 8)
    if a != b:
        assert str(a) != str(b)
        assert Variant(work, a).symbol != Variant(work, b).symbol
    assert Variant(work, a).symbol.isidentifier()
    assert Variant(work, a).symbol.isascii()


@pytest.mark.parametrize(
    "text", ["", "direct", "direct(", "direct(a=)", "direct(a=-1)", "Direct()", "d(a=1,)", "d(a=1)x", "d(a=9999999999)"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(BuildError, match="no schedule choice"):
        Choice.parse(text)


def test_a_schedule_nobody_knows_is_refused() -> None:
    with pytest.raises(BuildError, match="no schedule is called 'fft'"):
        generate(pool(8), X86, Choice.of("fft"))


class Always:
    """Knows one choice for everything."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice

    def of(self, workload: Workload) -> Choice | None:
        """The choice."""
        return self.choice


def test_a_measured_choice_is_taken_where_its_schedule_applies() -> None:
    default = candidates(pool(8), X86)[0]
    alone = default.replaced(**{SERIAL: 1})
    assert variant(pool(8), X86, Always(alone)).choice == alone
    assert variant(pool(8), X86, Always(Choice.of("winograd"))).choice == default
    assert variant(pool(8), X86).choice == default


def test_every_candidate_of_every_family_names_a_schedule() -> None:
    for name in FAMILIES:
        for op in program_of(name, 1)[1].ops:
            found = candidates(op.workload, X86)
            assert len(set(found)) == len(found)
            assert {choice.schedule for choice in found} <= set(SCHEDULES)
            assert all(Choice.parse(str(choice)) == choice for choice in found)
