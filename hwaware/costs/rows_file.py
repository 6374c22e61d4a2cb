"""``cells.csv``: rows appended one by one, each on disk before the next is measured."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from hwaware.costs.row import COLUMNS, CellRow, from_fields, to_fields
from hwaware.errors import TableError

# All samples of a cell stand in one field.
csv.field_size_limit(1 << 24)
HEADER = ",".join(COLUMNS) + "\n"


def format_row(row: CellRow) -> str:
    """One line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(to_fields(row))
    return text.getvalue()


def parse_rows(text: str, source: Path, remedy: str) -> list[CellRow]:
    """Rows of a whole file. Raises TableError naming the file, the line and what is wrong with it."""
    lines = csv.reader(io.StringIO(text), strict=True)
    rows: list[CellRow] = []
    seen: set[tuple[str, str, str]] = set()
    try:
        if next(lines, None) != list(COLUMNS):
            raise ValueError("the header is not that of a cost table")
        for fields in lines:
            row = from_fields(fields)
            if row.identity in seen:
                raise ValueError(f"the cell {row.key[:80]} occurs twice")
            seen.add(row.identity)
            rows.append(row)
    except (ValueError, csv.Error) as error:
        raise TableError(f"{source} is corrupt at line {max(1, lines.line_num)}: {error}; {remedy}") from error
    return rows


class RowsFile:
    """A growing ``cells.csv``; what a crash left half-written at its end is dropped at the next opening."""

    def __init__(self, path: Path, remedy: str) -> None:
        self.path = path
        try:
            self._stream = path.open("a+b")
            self.rows = self._recover(remedy)
        except OSError as error:
            raise TableError(f"cannot write {path}: {error.strerror}; choose another --out") from error

    def _recover(self, remedy: str) -> list[CellRow]:
        self._stream.seek(0)
        raw = self._stream.read()
        # A key may hold no newline, so a line is a row; only the last can be half there.
        whole = raw[: raw.rfind(b"\n") + 1]
        if not whole:
            whole = HEADER.encode()
            self._stream.truncate(0)
            self._stream.write(whole)
            self._sync()
        elif len(whole) < len(raw):
            self._stream.truncate(len(whole))
            self._sync()
        return parse_rows(whole.decode("utf-8", errors="replace"), self.path, remedy)

    def append(self, row: CellRow) -> None:
        """Write one row; it is on disk when this returns. Raises TableError where the disk refuses."""
        try:
            self._stream.write(format_row(row).encode())
            self._sync()
        except OSError as error:
            raise TableError(
                f"cannot write {self.path}: {error.strerror}; free space, then go on with --resume"
            ) from error
        self.rows.append(row)

    def replace(self, rows: Sequence[CellRow]) -> None:
        """Write `rows` in place of all that is there, whole or not at all."""
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with temporary.open("wb") as stream:
                stream.write((HEADER + "".join(map(format_row, rows))).encode())
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self.path)
            self._stream.close()
            self._stream = self.path.open("a+b")
        except OSError as error:
            raise TableError(
                f"cannot write {self.path}: {error.strerror}; free space, then go on with --resume"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        self.rows = list(rows)

    def _sync(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        # Rows are on disk when they are appended; what is left is one whose writing failed, and that was told then.
        with contextlib.suppress(OSError):
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
