"""CostTable: measured cells of one device, on disk as ``table.json`` beside ``cells.csv``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.costs.choices import Choices
from hwaware.costs.manifest import TABLE, Manifest
from hwaware.costs.row import CellRow
from hwaware.costs.rows_file import HEADER, format_row, parse_rows
from hwaware.errors import BuildError, TableError
from hwaware.files import read_bytes, write_text_atomic

if TYPE_CHECKING:
    import pandas as pd

MANIFEST, CELLS = "table.json", "cells.csv"
JOURNAL = "profile.json"  # of a profile that has not ended
MAX_CELLS_BYTES = 1 << 30
_REMEDY = "restore the directory, or profile again with another --out"


@dataclass(frozen=True)
class CostTable:
    """Cells measured on one device with one toolchain; `rows` in the order of measuring.

    `folder` is where the table was read from, None for one that was not.
    """

    manifest: Manifest
    rows: tuple[CellRow, ...]
    folder: Path | None = field(default=None, compare=False)

    @classmethod
    def load(cls, directory: Path | str) -> CostTable:
        """Read and check a table. Raises TableError naming the file, what is wrong and what to type."""
        folder = Path(directory)
        if not (folder / MANIFEST).exists():
            if (folder / JOURNAL).exists():
                raise TableError(
                    f"{folder} holds a profile that has not ended: go on with "
                    f"`hwaware profile MODEL --device NAME --out {folder} --resume`"
                )
            raise TableError(f"{folder} holds no cost table (no {MANIFEST}); {TABLE.remedy}")
        manifest = Manifest.load(folder / MANIFEST)
        raw = read_bytes(folder / CELLS, TABLE, MAX_CELLS_BYTES)
        if hashlib.sha256(raw).hexdigest() != manifest.cells_sha256:
            raise TableError(f"{folder / CELLS} is not the file that {MANIFEST} describes (other hash); {_REMEDY}")
        rows = parse_rows(raw.decode("utf-8", errors="replace"), folder / CELLS, _REMEDY)
        if len(rows) != manifest.cells:
            raise TableError(f"{folder / CELLS} has {len(rows)} cells, {MANIFEST} says {manifest.cells}; {_REMEDY}")
        return cls(manifest, tuple(rows), folder)

    def save(self, directory: Path | str) -> Path:
        """Write the table: cells first, the manifest that vouches for them last. Raises TableError."""
        folder = Path(directory)
        text = HEADER + "".join(format_row(row) for row in self.rows)
        write_text_atomic(folder / CELLS, text, TableError)
        self.sealed().manifest.save(folder / MANIFEST)
        return folder

    def sealed(self) -> CostTable:
        """The table with the hash and the number of its cells in the manifest."""
        text = HEADER + "".join(format_row(row) for row in self.rows)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return replace(self, manifest=replace(self.manifest, cells=len(self.rows), cells_sha256=digest))

    def to_pandas(self) -> pd.DataFrame:
        """The cells as pandas reads them from ``cells.csv``."""
        import io

        import pandas as pd

        text = HEADER + "".join(format_row(row) for row in self.rows)
        return pd.read_csv(io.StringIO(text))

    @cached_property
    def choices(self) -> Choices:
        """The schedules its cells were measured with: what is compiled for this device must be written by them."""
        try:
            return Choices.of_rows(self.rows)
        except BuildError as error:
            raise TableError(f"the cost table of {self.manifest.device} is corrupt: {error}; {_REMEDY}") from error

    @property
    def lanes(self) -> int:
        """Floats in a vector of the target: the step in which output channels cost."""
        return int(self.manifest.target.get("lanes", 1))


def unique(rows: Sequence[CellRow]) -> tuple[CellRow, ...]:
    """The last row of every cell, in the order of their first."""
    return tuple({row.identity: row for row in rows}.values())
