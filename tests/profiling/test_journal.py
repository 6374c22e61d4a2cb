"""The folder of a profile at every step at which a process can be killed."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hwaware.costs.row import CellRow
from hwaware.costs.table import CELLS, JOURNAL, MANIFEST, CostTable
from hwaware.costs.validation import add_check, read_checks
from hwaware.errors import TableError
from hwaware.profiling.journal import PART, Journal
from tests.costs.checks import check
from tests.costs.tables import manifest, pool, row

ROWS = [row(pool(width), 100.0 * width) for width in (1, 2, 4, 8)]


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it to tidy up."""


def profiled(folder: Path, rows: list[CellRow], *, resume: bool = False, model: str = "net") -> CostTable:
    """Measure what of `rows` is not there yet."""
    with closing(Journal(folder, manifest(models=(model,), complete=False), resume=resume)) as journal:
        known = {one.key for one in journal.rows}
        for one in rows:
            if one.key not in known:
                journal.append(one)
        return journal.finish(complete=True)


def killed_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Let the process end before its change number `steps` to the folder: renames, copies, removals and writes."""
    left = iter(range(steps))

    def counted(real):  # type: ignore[no-untyped-def]
        def act(*args, **kwargs):  # type: ignore[no-untyped-def]
            if next(left, None) is None:
                raise Killed
            return real(*args, **kwargs)

        return act

    for owner, name in ((Path, "replace"), (Path, "unlink"), (Path, "mkdir"), (Path, "open"), (shutil, "copyfile")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


@pytest.mark.parametrize("before", ["nothing", "a profile", "a table"])
def test_killed_at_any_step_and_resumed_nothing_is_lost(
    before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    while True:
        folder = tmp_path / f"table {steps}"
        if before == "a profile":
            with closing(Journal(folder, manifest(models=("net",)), resume=False)) as journal:
                journal.append(ROWS[0])
        elif before == "a table":
            profiled(folder, ROWS[:2], model="other")
        kept = kept_rows(folder)
        with monkeypatch.context() as patch:
            killed_after(patch, steps)
            try:
                profiled(folder, ROWS, resume=True)
                ended = True
            except Killed:
                ended = False
        kept = [*kept, *(line for line in kept_rows(folder) if line not in kept)]
        if not ended:
            loads_or_says_how_to_go_on(folder)
        table = profiled(folder, ROWS, resume=True)
        assert {one.key for one in table.rows} == {one.key for one in ROWS}
        assert set(kept) <= set((folder / CELLS).read_text().splitlines())
        assert sorted(path.name for path in folder.iterdir()) == [CELLS, MANIFEST]
        assert CostTable.load(folder).rows == table.rows
        assert set(table.manifest.models) == ({"net", "other"} if before == "a table" else {"net"})
        if ended:
            break
        steps += 1
    assert steps > 5


def kept_rows(folder: Path) -> list[str]:
    """Whole lines of rows that are on disk, in whichever file."""
    lines: list[str] = []
    for name in (CELLS, PART):
        if (folder / name).exists():
            text = (folder / name).read_text()
            lines += text[: text.rfind("\n") + 1].splitlines()[1:]
    return lines


def loads_or_says_how_to_go_on(folder: Path) -> None:
    try:
        CostTable.load(folder)
    except TableError as error:
        assert "--resume" in str(error) or "holds no cost table" in str(error)  # noqa: PT017


def test_two_processes_do_not_write_one_table(tmp_path: Path) -> None:
    with closing(Journal(tmp_path, manifest(), resume=False)) as journal:
        with pytest.raises(TableError, match=r"being written by another profile: wait"):
            Journal(tmp_path, manifest(), resume=True)
        journal.append(ROWS[0])
    assert [one.key for one in profiled(tmp_path, ROWS[:1], resume=True).rows] == [ROWS[0].key]


def test_what_a_table_has_learnt_stays_when_a_model_is_added(tmp_path: Path) -> None:
    profiled(tmp_path, ROWS[:2])
    add_check(tmp_path, check(digest="1" * 64))
    before = CostTable.load(tmp_path).manifest
    after = profiled(tmp_path, ROWS, resume=True, model="another").manifest
    assert after.validation == before.validation is not None
    assert after.models == ("net", "another")
    assert after.created == before.created
    assert read_checks(tmp_path) == (check(digest="1" * 64),)
    add_check(tmp_path, check(digest="2" * 64))


def test_replacing_a_row_keeps_all_others(tmp_path: Path) -> None:
    again = replace(ROWS[1], retries=1)
    with closing(Journal(tmp_path, manifest(), resume=False)) as journal:
        for one in ROWS:
            journal.append(one)
        journal.replace([again])
        assert journal.finish(complete=True).rows == (ROWS[0], again, *ROWS[2:])
    assert CostTable.load(tmp_path).rows == (ROWS[0], again, *ROWS[2:])


@pytest.mark.parametrize("name", [f".{JOURNAL}.1a2b", f".{PART}.4711", f".{MANIFEST}.ff"])
def test_half_written_files_of_a_killed_process_are_no_foreign_ones(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{")
    profiled(tmp_path, ROWS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CELLS, MANIFEST]
