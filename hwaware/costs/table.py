"""CostTable: measured cells of one device, on disk as ``table.json`` beside ``cells.csv``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.costs.choices import Choices
from hwaware.costs.manifest import TABLE, UNITS, Manifest
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

    They are those of the manifest's unit, which answers; `others` those of the other one (`of`). `folder` is where the
    table was read from, None for one that was not.
    """

    manifest: Manifest
    rows: tuple[CellRow, ...]
    folder: Path | None = field(default=None, compare=False)
    others: tuple[CellRow, ...] = ()

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
        strange = next((row for row in rows if row.unit not in manifest.units), None)
        if strange is not None:
            raise TableError(f"{folder / MANIFEST} says nothing of the {strange.unit} that cells are of; {_REMEDY}")
        own, others = (tuple(row for row in rows if (row.unit == manifest.unit) is mine) for mine in (True, False))
        return cls(manifest, own, folder, others)

    def of(self, unit: str) -> CostTable:
        """The same table, answering for `unit`. Raises TableError where it has none of its cells."""
        if unit == self.manifest.unit:
            return self
        return replace(self, manifest=self.manifest.of(unit), rows=self.others, others=self.rows)

    def save(self, directory: Path | str) -> Path:
        """Write the table: cells first, the manifest that vouches for them last. Raises TableError."""
        folder = Path(directory)
        write_text_atomic(folder / CELLS, self._text(), TableError)
        self.sealed().manifest.save(folder / MANIFEST)
        return folder

    def sealed(self) -> CostTable:
        """The table with the hash and the number of its cells in the manifest."""
        digest = hashlib.sha256(self._text().encode()).hexdigest()
        cells = len(self.rows) + len(self.others)
        return replace(self, manifest=replace(self.manifest, cells=cells, cells_sha256=digest))

    def _text(self) -> str:
        """The cells as CSV, in an order that does not depend on which unit answers."""
        rows = sorted((*self.rows, *self.others), key=lambda row: UNITS.index(row.unit))
        return HEADER + "".join(map(format_row, rows))

    def to_pandas(self) -> pd.DataFrame:
        """The cells as pandas reads them from ``cells.csv``."""
        import io

        import pandas as pd

        return pd.read_csv(io.StringIO(self._text()))

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
