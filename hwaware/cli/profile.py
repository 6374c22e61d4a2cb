"""hwaware profile: measure a model's operations on a device into a cost table."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from hwaware.cli.arguments import threads
from hwaware.cli.output import emit, note, progress

HELP = "measure a model's operations on a device into a cost table"
EXAMPLE = "hwaware profile zoo:resnet8@digits --device pi4 --budget 10m"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_MOST_ROUNDS = 100
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|min|h|)")


def duration(text: str) -> float:
    """Seconds of `90`, `90s`, `10m` or `1.5h`."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def _rounds(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _MOST_ROUNDS):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds; write 0 to {_MOST_ROUNDS}")
    return int(text)


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("model", metavar="MODEL", help="zoo:NAME, FILE.py:FACTORY, FILE.pt2 or a directory")
    parser.add_argument("--device", required=True, metavar="NAME", help="a device of `hwaware devices list`")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the table (default: hwaware-tables/DEVICE/MODEL)")
    parser.add_argument("--threads", type=threads, default=1, metavar="N", help="threads of a model (default: 1)")
    parser.add_argument("--budget", type=duration, metavar="TIME", help="stop after this time: 90s, 10m, 1h")
    parser.add_argument(
        "--rounds",
        type=_rounds,
        metavar="N",
        help="rounds of whole variants at most (default: 6; 0 times operations alone, which predicts less well)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the table in DIR")
    parser.add_argument(
        "--protocol",
        choices=("pinned", "as-shipped"),
        default="pinned",
        help="how to measure (default: pinned, what cost tables are made of)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure; Ctrl-C keeps what is measured."""
    from hwaware.costs.row import STATUSES
    from hwaware.costs.validation import in_words
    from hwaware.devices.device import open_device
    from hwaware.profiling.profile import default_out, profile
    from hwaware.reference import load_model

    model = load_model(args.model)
    out = args.out or default_out(args.device, model.name)
    note(f"table: {out}")
    try:
        with open_device(args.device) as device, progress(f"profiling {model.name}", 0) as bar:

            def tell(done: int, total: int, what: str) -> None:
                bar.update(done, total, what)

            table = profile(
                model.module,
                model.example_inputs,
                device,
                out=out,
                name=model.name,
                threads=args.threads,
                budget_s=args.budget,
                resume=args.resume,
                protocol=args.protocol,
                on_progress=tell,
                **({} if args.rounds is None else {"rounds": args.rounds}),
            )
    except KeyboardInterrupt:
        note(f"go on with: hwaware profile {args.model} --device {args.device} --out {out} --resume")
        raise
    counts = {status: sum(row.status == status for row in table.rows) for status in STATUSES}
    complete = "" if table.manifest.complete else "; the budget ended early, --resume adds the rest"
    text = f"{out}: {len(table.rows)} cells, {counts['unstable']} unstable, {counts['failed']} failed{complete}"
    if table.manifest.validation is not None:
        text += f"\n{in_words(table.manifest.validation)}"
    document = {"table": str(out), "cells": len(table.rows), **counts, "complete": table.manifest.complete}
    document["validation"] = table.manifest.validation
    emit(args, document, text)
    return 0
