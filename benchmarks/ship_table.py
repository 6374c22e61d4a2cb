"""`python -m benchmarks.ship_table SRC DST`: make a measured table ready for ``cost_tables/``, or say why it is not.

A large table keeps of each cell at most `KEPT` evenly spaced order statistics instead of all samples; its summary
columns stay those of all samples. What names a computer, a person or a folder does not leave the machine.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

from hwaware.costs.manifest import Manifest
from hwaware.costs.row import FAILED, CellRow
from hwaware.costs.table import CELLS, MANIFEST, CostTable
from hwaware.costs.validation import validation_file
from hwaware.devices.facts import DeviceFacts
from hwaware.errors import HwawareError, TableError

KEPT = 30
MOST_BYTES = 300_000
THINNED = (
    f"samples_ns are {KEPT} evenly spaced order statistics, shortest first, and n counts those; "
    "the other columns are of all samples"
)
# What a table must have recorded of the machine's state; the values may be null where the kernel does not tell.
CONDITIONS = ("governor", "power_mode", "frequency_locked", "kernel", "load1", "emulated")
_PRIVATE = {
    "a path": re.compile(r"""(?:^|(?<=[\s"'=,(`;:]))/\w[\w.-]*/""", re.M),
    "an address": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*"),
    "a host": re.compile(r"\b(?:[\w-]+\.)+(?:local|lan|internal|localdomain)\b", re.I),
}


def thinned(row: CellRow) -> CellRow:
    """`row` with at most `KEPT` of its samples: order statistics evenly spaced from the least to the greatest."""
    if len(row.samples_ns) <= KEPT:
        return row
    ordered = sorted(row.samples_ns)
    last = len(ordered) - 1
    kept = tuple(ordered[round(index * last / (KEPT - 1))] for index in range(KEPT))
    return replace(row, samples_ns=kept, n=len(kept))


def ship(source: Path, target: Path, *, device: str | None = None) -> list[str]:
    """Write the table of `source` as the new folder `target`; what is wrong with it for shipping, empty if nothing.

    `device` renames the device: ``local`` says nothing elsewhere. A table with problems is not left in `target`.
    Raises TableError.
    """
    table = CostTable.load(source)
    if target.exists():
        raise TableError(f"{target} exists already: choose another folder")
    manifest = _public(table.manifest, device)
    rows, others = table.rows, table.others
    if (source / CELLS).stat().st_size > MOST_BYTES:
        rows, others = tuple(map(thinned, rows)), tuple(map(thinned, others))
        manifest = replace(manifest, notes=tuple(dict.fromkeys((*manifest.notes, THINNED))))
    try:
        CostTable(manifest, rows, others=others).save(target)
        for unit in manifest.units:
            checks = validation_file(source, unit)
            if checks.exists():
                shutil.copyfile(checks, target / checks.name)
        found = list(problems(target))
    except OSError as error:
        raise TableError(f"cannot write {target}: {error.strerror}; choose another folder") from error
    if found:
        shutil.rmtree(target)
    return found


def _public(manifest: Manifest, device: str | None) -> Manifest:
    """Facts that the agent tells of a device, and nothing that was added to them."""
    known = {"type", *(field.name for field in fields(DeviceFacts))}
    facts = {name: value for name, value in manifest.facts.items() if name in known}
    return replace(manifest, facts=facts, device=device or manifest.device)


def problems(folder: Path) -> Iterator[str]:
    """Why the table in `folder` cannot stand in ``cost_tables/``. Raises TableError where it cannot be loaded."""
    table = CostTable.load(folder)
    manifest = table.manifest
    if manifest.emulated or manifest.conditions.get("emulated"):
        yield "it was measured under an emulator"
    lacking = [name for name in CONDITIONS if name not in manifest.conditions]
    if lacking:
        yield f"its conditions lack {', '.join(lacking)}"
    checks = [validation_file(folder, unit) for unit in manifest.units]
    blocks = [manifest.of(unit).validation for unit in manifest.units]
    if not all(path.exists() for path in checks) or not all(block and block.get("n") for block in blocks):
        yield "it has no validation block: measure held-out models with `hwaware run`"
    for row in (*table.rows, *table.others):
        if row.status == FAILED and not row.reason:
            yield f"{row.key} failed without a reason"
    known = (MANIFEST, CELLS, *(path.name for path in checks))
    strange = sorted({path.name for path in folder.iterdir()} - set(known))
    if strange:
        yield f"it holds {', '.join(strange)} as well"
    for name in known:
        if (folder / name).exists():
            yield from _private(name, (folder / name).read_text(encoding="utf-8"))


def _private(name: str, text: str) -> Iterator[str]:
    for what, pattern in _PRIVATE.items():
        found = pattern.search(text)
        if found:
            line = text.count("\n", 0, found.start()) + 1
            yield f"{name} line {line} holds {what}: {text[found.start() : found.start() + 40]!r}"


def main() -> int:
    """Say what was written; status 1 where the table is not fit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ship_table", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path, metavar="SRC", help="a table that `hwaware profile` wrote")
    parser.add_argument("target", type=Path, metavar="DST", help="a new folder, cost_tables/DEVICE-MODEL")
    parser.add_argument("--device", metavar="NAME", help="what the device is called there")
    args = parser.parse_args()
    try:
        found = ship(args.source, args.target, device=args.device)
    except HwawareError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for problem in found:
        print(f"error: {args.source} cannot be shipped: {problem}", file=sys.stderr)
    if not found:
        sizes = ", ".join(f"{path.name} {path.stat().st_size:,} bytes" for path in sorted(args.target.iterdir()))
        print(f"{args.target}: {sizes}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
