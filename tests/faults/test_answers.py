"""Agents whose answers are garbage, huge, hostile or missing. The table of all faults is in README.md."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from hwaware.devices.output import OutputCollector
from hwaware.errors import AgentError
from tests.faults.board import Board, all_keys, check_goes_on, check_struck, profiled

pytestmark = pytest.mark.timeout(300)

# What an agent does after some honest cells, and what is said of it. awk's numbers count the link's first line too.
ANSWERS: dict[str, tuple[str, str]] = {
    "garbage": ("real | awk '{print; fflush()} NR==5 {print \"what is this\"; fflush()}'", r"no JSON"),
    "bytes": ("real | head -n 5; head -c 3000 /dev/urandom | tr -d '\\n'; echo", r"no JSON"),
    "no end of a line": ("real | head -n 5; tr '\\0' x </dev/zero", r"a line of more than 1 MiB"),
    "other types": ('real | head -n 4; echo \'{"type":"cell","id":7}\'', r"id"),
    "negative times": ("real | sed '4,$s/\"samples_ns\":\\[/&-5,/'", r"samples_ns"),
    "not a number": ("real | sed '4,$s/\"samples_ns\":\\[/&NaN,/'", r"NaN|no JSON|samples_ns"),
    "an unknown cell": ('real | sed \'4,$s/"id":"/&x/\'', r"asked"),
    "a cell twice": ("real | awk '{print; fflush()} /\"cell\"/ {print; fflush()}'", r"nobody asked for"),
    "escapes": ("real | head -n 4; printf '\\033[2J{\\033]0;owned\\007\\n'", r"no JSON"),
    "deep nesting": ('real | head -n 4; awk \'BEGIN {for (i = 0; i < 90000; i++) printf "["; print ""}\'', r"no JSON"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_are_none(name: str, board: Board, tmp_path: Path) -> None:
    what, says = ANSWERS[name]
    board.strike_bench(what)
    kept = check_struck(tmp_path / "table", AgentError, says)
    check_goes_on(board, tmp_path / "table", kept)


def test_output_without_end_is_stopped(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = OutputCollector.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "max_total", 2 << 20)
    board.strike_bench("real | head -n 5; yes '{}'")
    kept = check_struck(tmp_path / "table", AgentError, r"printed more than 2 MiB|type")
    check_goes_on(board, tmp_path / "table", kept)


def test_an_agent_that_is_killed_once_is_started_again(board: Board, tmp_path: Path) -> None:
    board.strike_bench("real | head -n 6; kill -9 $$")
    table = profiled(tmp_path / "table")
    keys = [row.key for row in table.rows]
    assert sorted(keys) == sorted(all_keys())
    assert board.left() == []


def test_an_agent_that_is_killed_each_time_is_given_up(board: Board, tmp_path: Path) -> None:
    board.strike_bench("real | head -n 1; kill -9 $$", always=True)
    kept = check_struck(tmp_path / "table", AgentError, r"ended with status .*go on with --resume")
    board.mend()
    check_goes_on(board, tmp_path / "table", kept)


def test_half_a_line_is_no_cell(board: Board, tmp_path: Path) -> None:
    board.strike_bench("real | head -n 7 | head -c 4000; kill -9 $$")
    with contextlib.suppress(AgentError):  # or it was started again, for the rest
        profiled(tmp_path / "table")
    board.mend()
    check_goes_on(board, tmp_path / "table", {})
