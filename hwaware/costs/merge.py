"""Several tables of one device as one.

Of a cell that stands in more than one table, the better-conditioned measurement is kept whole, never a mean. All that
belongs to a moment (facts, conditions) comes from the newest table. The rules are minima, maxima and
unions of total orders, so merging is idempotent, commutative and associative up to the order of rows.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from hwaware.costs.identity import first_difference, identity_of
from hwaware.costs.manifest import Manifest
from hwaware.costs.model_check import ModelCheck
from hwaware.costs.model_errors import errors_of, joined, with_errors
from hwaware.costs.row import STATUSES, CellRow
from hwaware.costs.rows_file import format_row
from hwaware.costs.table import CostTable
from hwaware.costs.validation import read_checks, validation_of, write_checks
from hwaware.errors import TableError


@dataclass(frozen=True)
class Source:
    """A table with its whole-model checks; `name` is what messages call it."""

    name: str
    table: CostTable
    checks: tuple[ModelCheck, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Source:
        """The table in `folder`. Raises TableError."""
        return cls(str(folder), CostTable.load(folder), tuple(read_checks(folder)))


def merge(sources: Sequence[Source]) -> Source:
    """One table with the cells, models and checks of all `sources`. Raises TableError where two do not belong together.

    It is complete if all were. Rows stand in the order in which they first occur.
    """
    for a, b in combinations(sources, 2):
        check_mergeable(a, b)
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
    return Source(" + ".join(source.name for source in sources), CostTable(manifest, rows).sealed(), checks)


def check_mergeable(a: Source, b: Source) -> None:
    """Raise TableError, naming the difference and both tables, where cells of the two cannot stand together."""
    ours, theirs = identity_of(a.table.manifest), identity_of(b.table.manifest)
    found = first_difference(ours, theirs, (a.name, f"in {b.name}"))
    if found is not None:
        raise TableError(
            f"{a.name} and {b.name} cannot be merged: {found}; "
            "use them apart, or measure again alike with `hwaware profile MODEL --device NAME --out DIR`"
        )


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
        if merged.checks:
            write_checks(scratch, merged.checks)
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
    best: dict[tuple[str, str], CellRow] = {}
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
    same_rows = found.table.rows == merged.table.rows
    return same_rows and found.table.manifest.models == merged.table.manifest.models and found.checks == merged.checks
