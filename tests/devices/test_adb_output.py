"""What a command over ADB printed: independent of how the bytes were cut, and nothing of the script's own words."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.devices.adb_output import MarkedOutput
from hwaware.devices.output import OutputCollector
from hwaware.errors import AgentError

MARKER = b"f3910c5e7b1d2846e8c2a7094b60d513"
# Beginnings of the marker are what could be mistaken for it.
pieces = st.binary(max_size=20) | st.integers(0, 31).map(lambda size: MARKER[:size])
texts = st.lists(pieces).map(b"".join).filter(lambda data: MARKER not in data)


def _output(lines: list[str] | None = None, *, merged: bool = False) -> MarkedOutput:
    collector = OutputCollector("board", None if lines is None else lines.append)
    return MarkedOutput("board", MARKER, collector, merged=merged)


def _feed(output: MarkedOutput, data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        output.feed_stdout(data[start:end])


@given(noise=texts, stdout=texts, stderr=texts, cuts=st.lists(st.integers(0, 400), max_size=10), merged=st.booleans())
def test_what_comes_out_does_not_depend_on_how_it_was_cut(
    noise: bytes, stdout: bytes, stderr: bytes, cuts: list[int], merged: bool
) -> None:
    lines: list[str] = []
    output = _output(lines, merged=merged)
    script = noise + MARKER + b" 42 41\n" + stdout + MARKER + b" 7\n"
    if merged:
        script += stderr + MARKER + b" end\n"
    else:
        output.feed_stderr(stderr)
    _feed(output, script, cuts)
    assert (output.process, output.status, output.finished) == (("42", "41"), 7, True)
    assert output.finish() == (stdout.decode(errors="replace"), stderr.decode(errors="replace"))
    expected = stdout.split(b"\n")
    assert lines == [line.decode(errors="replace") for line in (expected if expected[-1] else expected[:-1])]


def test_a_line_is_handed_out_as_soon_as_it_is_complete() -> None:
    lines: list[str] = []
    output = _output(lines)
    output.feed_stdout(MARKER + b" 42 42\none\ntwo f39")
    assert lines == ["one"]
    output.feed_stdout(b"\n")
    assert lines == ["one", "two f39"]
    assert output.status is None
    assert not output.finished


def test_children_may_print_after_the_command() -> None:
    output = _output()
    output.feed_stdout(MARKER + b" 1 1\nfirst\n" + MARKER + b" 0\nlater\n")
    assert output.finish() == ("first\nlater\n", "")


def test_without_any_command_there_are_words_for_the_message() -> None:
    output = _output(merged=True)
    output.feed_stdout(b"sh: not now\n")
    output.feed_stderr(b"error: closed\n")
    assert output.said == "sh: not now error: closed"
    assert output.process is None


@pytest.mark.parametrize(
    "hostile",
    [
        MARKER + b" 42\n",
        MARKER + b" a b\n",
        MARKER + b" 1 99999999999\n",
        MARKER + b" 1 1\n" + MARKER + b" 1000\n",
        MARKER + b" 1 1\n" + MARKER + b" -1\n",
        MARKER + b" 1 1\n" + MARKER + b"x" * 100,
        b"y" * (1 << 20) + b"y",
    ],
)
def test_a_hostile_shell_is_refused(hostile: bytes) -> None:
    with pytest.raises(AgentError, match="device board: its shell") as caught:
        _output().feed_stdout(hostile)
    assert "\n" not in str(caught.value)
