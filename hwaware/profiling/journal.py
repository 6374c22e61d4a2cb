"""A profile on disk while it is being measured, and how it becomes a table.

``profile.json`` (a manifest) says what is measured, ``cells.csv.part`` grows by a row a cell. At the end the rows are
renamed to ``cells.csv``, then ``table.json`` is written, then ``profile.json`` goes: whatever the moment of a crash,
the next ``--resume`` finds every row there was.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from hwaware.costs.manifest import Manifest
from hwaware.costs.row import CellRow
from hwaware.costs.rows_file import RowsFile
from hwaware.costs.table import CELLS, JOURNAL, MANIFEST, CostTable, check_same
from hwaware.errors import TableError

PART = "cells.csv.part"
_REMEDY = "profile again with another --out"
# What must be equal for rows to stand in one table.
_IDENTITY = ("fingerprint", "toolchain", "threads", "protocol", "rule")


class Journal:
    """The growing table in `folder`. `rows` are those measured so far, by this or an earlier run."""

    def __init__(self, folder: Path, manifest: Manifest, *, resume: bool) -> None:
        """Begin, or with `resume` go on with what is there.

        Raises TableError where there is something and `resume` is not given, and where that was measured under
        other circumstances.
        """
        self.folder = folder
        before = self._found(resume)
        self.manifest = manifest
        if before is not None:
            check_same(before, {name: asdict(manifest)[name] for name in _IDENTITY})
            models = tuple(dict.fromkeys((*before.models, *manifest.models)))
            self.manifest = replace(manifest, models=models, created=before.created)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._take_over()
        except OSError as error:
            raise TableError(f"cannot write {folder}: {error.strerror}; choose another --out") from error
        self.manifest.save(folder / JOURNAL)
        self._file = RowsFile(folder / PART, _REMEDY)

    @property
    def rows(self) -> list[CellRow]:
        """All rows there are."""
        return self._file.rows

    def append(self, row: CellRow) -> None:
        """Keep a row; it is on disk when this returns."""
        self._file.append(row)

    def replace(self, rows: Sequence[CellRow]) -> None:
        """Keep `rows` instead of those of the same keys."""
        new = {row.key: row for row in rows}
        self._file.replace([new.get(row.key, row) for row in self._file.rows])

    def finish(self, *, complete: bool) -> CostTable:
        """Turn the journal into the table."""
        self._file.close()
        table = CostTable(replace(self.manifest, complete=complete), tuple(self.rows)).sealed()
        try:
            (self.folder / PART).replace(self.folder / CELLS)
            table.manifest.save(self.folder / MANIFEST)
            (self.folder / JOURNAL).unlink()
        except OSError as error:
            raise TableError(f"cannot write {self.folder}: {error.strerror}; go on with --resume") from error
        return table

    def close(self) -> None:
        """Leave it as it is, to be resumed."""
        self._file.close()

    def _found(self, resume: bool) -> Manifest | None:
        """The manifest of what is in the folder already."""
        for name, what in ((JOURNAL, "a profile that has not ended"), (MANIFEST, "a finished cost table")):
            if (self.folder / name).exists():
                if not resume:
                    raise TableError(
                        f"{self.folder} holds {what}: add --resume to go on with it, or choose another --out"
                    )
                return Manifest.load(self.folder / name)
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise TableError(f"{self.folder} is no empty directory and holds no cost table: choose another --out")
        return None

    def _take_over(self) -> None:
        """Begin with the rows of a finished table, or of one that a crash caught while it was being finished."""
        if not (self.folder / PART).exists() and (self.folder / CELLS).exists():
            if not (self.folder / JOURNAL).exists():
                CostTable.load(self.folder)  # refuses a damaged one
            scratch = self.folder / f".{PART}"
            shutil.copyfile(self.folder / CELLS, scratch)
            scratch.replace(self.folder / PART)
