"""`python -m benchmarks.predict`: variants that were never profiled, predicted by cost tables and then measured here.

For every family and number of threads: a profile into a table of its own, random variants of the model, what the table
says of each, then what the clock says, in turn. Results: a report on stdout, predict.json, predict.png and predict.svg
in the folder --out, and the tables. A series that is done is on disk: --resume goes on after an interruption.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from benchmarks.predict.draw import FAMILIES
from benchmarks.predict.measure import Effort
from benchmarks.predict.outcome import Series
from benchmarks.predict.repeat import Repeat
from benchmarks.predict.report import text, write
from benchmarks.predict.run import Plan, run_repeat, run_series
from benchmarks.predict.tables import Say
from hwaware.cli.arguments import threads
from hwaware.cli.profile import duration
from hwaware.compiler.versions import toolchain_identity
from hwaware.devices.device import open_device
from hwaware.errors import HwawareError, TableError
from hwaware.profiling.target import device_facts, target_of


def main() -> int:
    """Run all series. Status 0 whether or not the bars are met, 1 where something failed."""
    args = _arguments()
    torch.set_num_threads(1)
    try:
        _run(args)
    except HwawareError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted: go on with --resume --out {args.out}", file=sys.stderr)
        return 130
    return 0


def _run(args: argparse.Namespace) -> None:
    plan = _plan(args)
    series: list[Series] = []
    repeats: dict[str, Repeat] = {}
    with open_device("local") as device:
        about = {
            "device": device_facts(device).as_dict(),
            "toolchain": toolchain_identity(target_of(device)),
            "settings": {
                name: str(value) if isinstance(value, Path) else value
                for name, value in vars(args).items()
                if name not in ("out", "tables", "lock")
            },
        }
        for family in args.families:
            for count in args.threads:
                series.append(run_series(plan, device, family, count, _say(f"{family}, threads {count}")))
                write(series, about, repeats, plan.out)
        if args.repeat is not None:
            first = next(item for item in series if item.family == (args.repeat or args.families[0]))
            repeats[first.label] = run_repeat(plan, device, first, _say(f"{first.label} again"))
            write(series, about, repeats, plan.out)
    print(text(series, repeats))
    print(f"written: {plan.out / 'predict.json'}, predict.png, predict.svg", file=sys.stderr)


def _plan(args: argparse.Namespace) -> Plan:
    if not args.resume and args.out.exists() and any(args.out.iterdir()):
        raise TableError(f"{args.out} holds an earlier run: add --resume to go on with it, or choose another --out")
    args.out.mkdir(parents=True, exist_ok=True)
    return Plan(
        out=args.out,
        tables=args.tables or args.out / "tables",
        variants=args.variants,
        budget_s=args.budget,
        seed=args.seed,
        effort=Effort(rounds=args.rounds, ms=args.ms),
        resume=args.resume,
        lock=args.lock,
    )


def _say(what: str) -> Say:
    start = time.monotonic()
    return lambda line: print(f"{what}, {time.monotonic() - start:5.0f} s: {line}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--families", nargs="+", default=list(FAMILIES), metavar="NAME", help=f"{', '.join(FAMILIES)}, or any MODEL")
    add("--threads", type=threads, nargs="+", default=[1, 2], metavar="N")
    add("--variants", type=_positive, default=20, metavar="N", help="of each family (default: 20)")
    add("--budget", type=duration, default=600.0, metavar="TIME", help="of a profile (default: 10m)")
    add("--tables", type=Path, metavar="DIR", help="use DIR/NAME-tTHREADS where it exists, else profile into it")
    add("--out", type=Path, default=Path("bench-results/predict"), metavar="DIR")
    add("--lock", type=Path, metavar="FILE", help="hold this file's lock while something is timed (shared machines)")
    add("--seed", type=int, default=1, metavar="N", help="of the draws (default: 1)")
    add("--rounds", type=_positive, default=6, help="of measuring all variants (default: 6)")
    add("--ms", type=_positive, default=60, help="of a variant in a round (default: 60)")
    add("--resume", action="store_true", help="go on in --out: what is measured there is not measured again")
    add("--repeat", nargs="?", const="", metavar="NAME", help="profile a family (default: the first) a second time")
    args = parser.parse_args()
    if args.repeat and args.repeat not in args.families:
        parser.error(f"--repeat {args.repeat} is none of --families")
    return args


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number from 1")
    return int(word)


if __name__ == "__main__":
    sys.exit(main())
