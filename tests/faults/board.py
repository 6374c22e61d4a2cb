"""A real SSH board that can be told to misbehave, and profiles that must survive it."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwaware.costs.row import CellRow
from hwaware.costs.rows_file import RowsFile
from hwaware.costs.table import CostTable
from hwaware.devices.device import open_device
from hwaware.errors import HwawareError
from hwaware.graph.capture import capture
from hwaware.profiling.cells import model_cells
from hwaware.profiling.journal import PART
from hwaware.profiling.profile import profile
from hwaware.profiling.target import target_of
from tests.profiling.nets import tiny
from tests.sshd import Sshd

# Each command passes here: the server hands it over in $SSH_ORIGINAL_COMMAND, and $PPID is the connection.
_GATE = """#!/bin/sh
board={board}
if [ -e "$board/fault" ]; then . "$board/fault"; fi
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""
# Only where an agent is to measure cells (schedules are tried with other numbers); `real` is what it would say.
_AT_BENCH = """
case $SSH_ORIGINAL_COMMAND in
*' bench '*'--min-count 30 '*)
    {once}
    real() {{ /bin/sh -c "$SSH_ORIGINAL_COMMAND"; }}
    {what}
    exit 0 ;;
esac
"""


@dataclass(frozen=True)
class Board:
    """A board in `folder`; `server` is its SSH server, and it is `board` in the inventory."""

    folder: Path
    server: Sshd

    @staticmethod
    def gate(folder: Path) -> str:
        """The command that every command of a board in `folder` is handed to."""
        script = folder / "gate"
        script.write_text(_GATE.format(board=shlex.quote(str(folder))))
        return f"/bin/sh {shlex.quote(str(script))}"

    @property
    def cache(self) -> Path:
        """hwaware's folder on it."""
        return Path(os.environ["HWAWARE_REMOTE_CACHE"])

    def strike(self, script: str) -> None:
        """From now on each command meets this shell `script` first."""
        part = self.folder / ".fault"
        part.write_text(script)
        part.rename(self.folder / "fault")

    def strike_bench(self, what: str, *, always: bool = False) -> None:
        """The next agent that is to measure, or every one, does `what` instead; `real` does what was asked."""
        self.strike(_AT_BENCH.format(what=what, once="" if always else 'rm -f "$board/fault"'))

    def mend(self) -> None:
        """Be a good board again."""
        (self.folder / "fault").unlink(missing_ok=True)

    def left(self) -> list[str]:
        """What is in its cache beside uploads under their hashes."""
        return sorted(path.name for path in self.cache.iterdir() if len(path.name) != 64)


def all_keys() -> set[str]:
    """The workloads of a whole profile of the small net on this board."""
    module, inputs = tiny()
    with open_device("board") as device:
        return {cell.workload.key for cell in model_cells(capture(module, inputs), target_of(device).lanes)}


def profiled(out: Path, *, resume: bool = False) -> CostTable:
    """The small net's operations, measured on the board."""
    module, inputs = tiny()
    with open_device("board") as device:
        return profile(module, inputs, device, out=out, rounds=0, resume=resume)


def rows_in(out: Path) -> dict[str, CellRow]:
    """What an interrupted profile kept."""
    if not (out / PART).exists():
        return {}
    with RowsFile(out / PART, "") as file:
        return {row.key: row for row in file.rows}


def check_struck(out: Path, error: type[HwawareError], says: str, *, resume: bool = False) -> dict[str, CellRow]:
    """A profile into `out` ends with `error`, in one line that matches `says`; the rows it kept."""
    with pytest.raises(error, match=says) as caught:
        profiled(out, resume=resume)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    return rows_in(out)


def check_goes_on(board: Board, out: Path, kept: dict[str, CellRow]) -> None:
    """Resumed, it has each cell once, those that were kept as they were, and the board is left as it was found."""
    table = profiled(out, resume=True)
    keys = [row.key for row in table.rows]
    assert len(keys) == len(set(keys))
    assert set(keys) == all_keys()
    assert table.manifest.complete
    found = {row.key: row for row in table.rows}
    for key, row in kept.items():
        if row.status == "ok":
            assert found[key].samples_ns == row.samples_ns
    assert board.left() == []
