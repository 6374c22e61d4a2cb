"""hwaware merge: several cost tables of one device as one."""

from __future__ import annotations

import argparse
from pathlib import Path

from hwaware.cli.output import emit

HELP = "merge cost tables of one device"
EXAMPLE = "hwaware merge hwaware-tables/pi4/resnet8 hwaware-tables/pi4/mobilenet_v2 --out hwaware-tables/pi4-both"


def configure(parser: argparse.ArgumentParser) -> None:
    """Two positionals, so that a single table is a wrong usage that argparse refuses itself."""
    parser.add_argument("first", type=Path, metavar="A", help="a table that `hwaware profile` wrote")
    parser.add_argument("others", type=Path, nargs="+", metavar="B", help="tables of the same device, measured alike")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the merged table, a new folder")


def run(args: argparse.Namespace) -> int:
    """Merge; the tables themselves stay as they are."""
    from hwaware.costs.merge import Source, merge, write
    from hwaware.costs.row import STATUSES

    sources = [Source.read(folder) for folder in (args.first, *args.others)]
    merged = merge(sources)
    write(merged, args.out)
    manifest, rows = merged.table.manifest, merged.table.rows
    counts = {status: sum(row.status == status for row in rows) for status in STATUSES}
    shared = sum(len(source.table.rows) for source in sources) - len(rows)
    bad = "".join(f", {count} {status}" for status, count in counts.items() if count and status != "ok")
    complete = "" if manifest.complete else "; incomplete as one of them: `hwaware profile … --resume` adds the rest"
    text = (
        f"{args.out}: {len(rows)} cells{bad}, {shared} were in more than one table and the better one was kept; "
        f"models {', '.join(manifest.models)}{complete}"
    )
    document = {"table": str(args.out), "cells": len(rows), **counts, "shared": shared}
    emit(args, document | {"models": list(manifest.models), "complete": manifest.complete}, text)
    return 0
