"""A profile on disk while it is being measured, and how it becomes a table.

``profile.json`` (a manifest) says what is measured, ``cells.csv.part`` grows by a row a cell. At the end an older
``table.json`` goes, the rows are renamed to ``cells.csv``, the new ``table.json`` is written, then ``profile.json``
goes: whatever the moment of a crash, the next ``--resume`` finds every row there was, and until then either the older
table is there whole or the folder says that its profile has not ended.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hwaware.costs.identity import check_identity, identity_of
from hwaware.costs.manifest import Manifest
from hwaware.costs.row import CellRow
from hwaware.costs.rows_file import RowsFile
from hwaware.costs.table import CELLS, JOURNAL, MANIFEST, CostTable
from hwaware.costs.validation import VALIDATION
from hwaware.errors import TableError

PART = "cells.csv.part"
_REMEDY = "profile again with another --out"
# Files are written under the name `.NAME` or `.NAME.suffix` first; a process that was killed leaves those behind.
_WRITTEN = (JOURNAL, MANIFEST, CELLS, PART, VALIDATION)


class Journal:
    """The growing table in `folder`. `rows` are those measured so far, by this or an earlier run."""

    def __init__(self, folder: Path, manifest: Manifest, *, resume: bool) -> None:
        """Begin, or with `resume` go on with what is there.

        Raises TableError where there is something and `resume` is not given, where that was measured under other
        circumstances, and where another process is at it.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock: int | None = _locked(folder)
            try:
                self.manifest = self._begin(manifest, resume)
                self._file = RowsFile(folder / PART, _REMEDY)
            except BaseException:
                self._unlock()
                raise
        except OSError as error:
            raise TableError(f"cannot write {folder}: {error.strerror}; choose another --out") from error

    @property
    def rows(self) -> list[CellRow]:
        """All rows there are."""
        return self._file.rows

    def append(self, row: CellRow) -> None:
        """Keep a row; it is on disk when this returns."""
        self._file.append(row)

    def replace(self, rows: Sequence[CellRow]) -> None:
        """Keep `rows` instead of those of the same identities."""
        new = {row.identity: row for row in rows}
        self._file.replace([new.get(row.identity, row) for row in self._file.rows])

    def drop(self, rows: Sequence[CellRow]) -> None:
        """Forget the rows of the identities of `rows`."""
        gone = {row.identity for row in rows}
        self._file.replace([row for row in self._file.rows if row.identity not in gone])

    def finish(self, *, complete: bool) -> CostTable:
        """Turn the journal into the table."""
        self._file.close()
        table = CostTable(replace(self.manifest, complete=complete), tuple(self.rows), self.folder).sealed()
        try:
            (self.folder / MANIFEST).unlink(missing_ok=True)
            (self.folder / PART).replace(self.folder / CELLS)
            table.manifest.save(self.folder / MANIFEST)
            (self.folder / JOURNAL).unlink()
        except OSError as error:
            raise TableError(f"cannot write {self.folder}: {error.strerror}; go on with --resume") from error
        self._unlock()
        return table

    def close(self) -> None:
        """Leave it as it is, to be resumed; closing it twice is no error."""
        self._file.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begin(self, manifest: Manifest, resume: bool) -> Manifest:
        """Make the folder one of a profile that has not ended; what its manifest says."""
        before = self._found(resume)
        if before is not None:
            check_identity(before, identity_of(manifest))
            manifest = _continued(before, manifest)
        self._take_over()
        manifest.save(self.folder / JOURNAL)
        return manifest

    def _found(self, resume: bool) -> Manifest | None:
        """The manifest of what is in the folder already."""
        for name, what in ((JOURNAL, "a profile that has not ended"), (MANIFEST, "a finished cost table")):
            if (self.folder / name).exists():
                if not resume:
                    raise TableError(
                        f"{self.folder} holds {what}: add --resume to go on with it, or choose another --out"
                    )
                return Manifest.load(self.folder / name)
        if set(self.folder.iterdir()) - set(self._leftovers()):
            raise TableError(f"{self.folder} is no empty directory and holds no cost table: choose another --out")
        return None

    def _take_over(self) -> None:
        """Begin with the rows of a finished table, or of one that a crash caught while it was being finished."""
        for path in self._leftovers():
            path.unlink()
        if not (self.folder / PART).exists() and (self.folder / CELLS).exists():
            if not (self.folder / JOURNAL).exists():
                CostTable.load(self.folder)  # refuses a damaged one
            scratch = self.folder / f".{PART}"
            shutil.copyfile(self.folder / CELLS, scratch)
            scratch.replace(self.folder / PART)

    def _leftovers(self) -> list[Path]:
        """What an earlier process was writing when it was killed."""
        names = tuple(f".{name}" for name in _WRITTEN)
        return [path for path in self.folder.iterdir() if path.name.startswith(names)]


def _continued(before: Manifest, now: Manifest) -> Manifest:
    """The manifest `now`, with what the profile so far has found out."""
    return replace(
        now,
        models=tuple(dict.fromkeys((*before.models, *now.models))),
        notes=tuple(dict.fromkeys((*before.notes, *now.notes))),
        created=before.created,
        conditions=before.conditions,
        overhead_ns=before.overhead_ns,
        validation=before.validation,
        fit=before.fit,
        memory=before.memory,
    )


def _locked(folder: Path) -> int:
    """A descriptor that keeps other processes from writing the same table; the kernel drops it with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise TableError(
            f"{folder} is being written by another profile: wait until it has ended, or choose another --out"
        ) from None
    except OSError:
        return descriptor  # a file system without locks
    return descriptor
