"""Several tables of one device as one.

Of a cell that stands in more than one table, the better-conditioned measurement is kept whole, never a mean. All that
belongs to a moment (facts, conditions) comes from the newest table. The rules are minima, maxima and unions
of total orders, so merging is idempotent, commutative and associative up to the order of rows. Cells of a GPU and of a
processor are merged apart.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from hwaware.costs.identity import first_difference, identity_of
from hwaware.costs.manifest import Manifest
from hwaware.costs.model_check import ModelCheck
from hwaware.costs.model_errors import errors_of, joined, with_errors
from hwaware.costs.row import STATUSES, CellRow
from hwaware.costs.rows_file import format_row
from hwaware.costs.table import CostTable
from hwaware.costs.units import apart, together
from hwaware.costs.validation import read_checks, validation_of, write_checks
from hwaware.errors import TableError

# What tables of the two units of a device have in common.
_OF_A_DEVICE = ("device", "emulated", "protocol")


@dataclass(frozen=True)
class Source:
    """A table with its whole-model checks, those of its other unit in `others`; `name` is what messages call it."""

    name: str
    table: CostTable
    checks: tuple[ModelCheck, ...] = ()
    others: Mapping[str, tuple[ModelCheck, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Source:
        """The table in `folder`. Raises TableError."""
        table = CostTable.load(folder)
        others = {unit: read_checks(folder, unit) for unit in table.manifest.others}
        return cls(str(folder), table, read_checks(folder, table.manifest.unit), others)

    def apart(self) -> dict[str, Source]:
        """A source of each unit alone."""
        checks = {**self.others, self.table.manifest.unit: self.checks}
        return {unit: Source(self.name, table, checks.get(unit, ())) for unit, table in apart(self.table).items()}


def merge(sources: Sequence[Source]) -> Source:
    """One table with the cells, models and checks of all `sources`. Raises TableError where two do not belong together.

    It is complete if all were. Rows stand in the order in which they first occur.
    """
    for a, b in combinations(sources, 2):
        check_mergeable(a, b)
    by_unit: dict[str, list[Source]] = {}
    for source in sources:
        for unit, alone in source.apart().items():
            by_unit.setdefault(unit, []).append(alone)
    merged = {unit: _merged(alike) for unit, alike in by_unit.items()}
    table = together({unit: one.table for unit, one in merged.items()})
    checks = {unit: one.checks for unit, one in merged.items()}
    own = checks.pop(table.manifest.unit)
    return Source(" + ".join(source.name for source in sources), table, own, checks)


def _merged(sources: Sequence[Source]) -> Source:
    """One of `sources` of the same unit."""
    manifests = [source.table.manifest for source in sources]
    checks = _checks(check for source in sources for check in source.checks)
    manifest = replace(
        max(manifests, key=_age),
        models=tuple(sorted({model for one in manifests for model in one.models})),
        notes=tuple(sorted({note for one in manifests for note in one.notes})),
        complete=all(one.complete for one in manifests),
        validation=validation_of(checks),
    )
    manifest = with_errors(manifest, joined(errors_of(one) for one in manifests))
    rows = _rows(row for source in sources for row in source.table.rows)
    return Source(sources[0].name, CostTable(manifest, rows), checks)


def check_mergeable(a: Source, b: Source) -> None:
    """Raise TableError, naming the difference and both tables, where cells of the two cannot stand together."""
    first, second = a.apart(), b.apart()
    pairs = [(identity_of(one.table.manifest), second[unit]) for unit, one in first.items() if unit in second]
    if not pairs:
        # Of the processor and of the GPU: all but the device may be another.
        whole = identity_of(a.table.manifest)
        pairs = [({name: whole[name] for name in _OF_A_DEVICE}, b)]
    places = (a.name, f"in {b.name}")
    found = next((said for ours, theirs in pairs if (said := _difference(ours, theirs, places))), None)
    if found is not None:
        raise TableError(
            f"{a.name} and {b.name} cannot be merged: {found}; "
            "use them apart, or measure again alike with `hwaware profile MODEL --device NAME --out DIR`"
        )


def _difference(ours: Mapping[str, Any], theirs: Source, places: tuple[str, str]) -> str | None:
    return first_difference(ours, identity_of(theirs.table.manifest), places)


def write(merged: Source, out: Path) -> None:
    """Write `merged` as the folder `out`, whole or not at all.

    Raises TableError where `out` holds something, unless that is this very table.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if out.is_dir() and _holds(out, merged):
            return
        raise TableError(f"{out} holds something else already: choose another --out")
    scratch = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    try:
        scratch.mkdir(parents=True)
        merged.table.save(scratch)
        for unit, checks in {**merged.others, merged.table.manifest.unit: merged.checks}.items():
            if checks:
                write_checks(scratch, checks, unit)
        os.replace(scratch, out)
    except OSError as error:
        raise TableError(f"cannot write {out}: {error.strerror}; choose another --out or free space") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def better(a: CellRow, b: CellRow) -> CellRow:
    """The measurement to believe of two of one cell: by the order of `STATUSES`, then the smaller spread."""
    return min(a, b, key=_trouble)


def _trouble(row: CellRow) -> tuple[int, float, str]:
    spread = row.mad_ns / row.p50_ns if row.mad_ns is not None and row.p50_ns else float("inf")
    # Equally good ones are told apart by their text, so that the order of the tables decides nothing.
    return STATUSES.index(row.status), spread, format_row(row)


def _rows(rows: Iterable[CellRow]) -> tuple[CellRow, ...]:
    best: dict[tuple[str, str, str], CellRow] = {}
    for row in rows:
        best[row.identity] = better(best[row.identity], row) if row.identity in best else row
    return tuple(best.values())


def _checks(checks: Iterable[ModelCheck]) -> tuple[ModelCheck, ...]:
    """The newest check of every model and source, in a fixed order."""
    newest: dict[tuple[str, str], ModelCheck] = {}
    for check in sorted(checks, key=lambda check: (check.created, repr(check))):
        newest[check.digest, check.source] = check
    return tuple(newest[place] for place in sorted(newest))


def _age(manifest: Manifest) -> tuple[str, str, str]:
    """Newest last; of the same second, told apart by what they say of the moment of measuring."""
    moment = replace(
        manifest,
        models=(),
        notes=(),
        complete=False,
        validation=None,
        cells=0,
        cells_sha256="",
        overhead_ns=0.0,
        fit=None,
    )
    errors = json.dumps([manifest.overhead_ns, manifest.fit], sort_keys=True)
    return manifest.created, json.dumps(moment.document(), sort_keys=True), errors


def _holds(folder: Path, merged: Source) -> bool:
    try:
        found = Source.read(folder)
    except TableError:
        return False
    same_rows = (found.table.rows, found.table.others) == (merged.table.rows, merged.table.others)
    same_checks = (found.checks, dict(found.others)) == (merged.checks, dict(merged.others))
    return same_rows and same_checks and found.table.manifest.models == merged.table.manifest.models
