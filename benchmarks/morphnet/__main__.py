"""`python -m benchmarks.morphnet`: nets narrowed by measured cost, by FLOPs and uniformly, trained and measured here.

For every net and data set: a cost table of this machine, narrower nets by each method at several budgets and seeds,
all measured in turn. Results: a report on stdout, morphnet.json and morphnet.png in the folder --out. What is trained
or profiled is on disk: the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks.morphnet.clock import measured
from benchmarks.morphnet.methods import METHODS
from benchmarks.morphnet.plot import plot
from benchmarks.morphnet.report import report
from benchmarks.morphnet.sweep import FULL, Order, Run, saved_program, sweep
from benchmarks.morphnet.tables import table_for
from benchmarks.morphnet.tasks import DATA, NETS, Case
from hwaware.errors import HwawareError

SHARES = (0.6, 0.4, 0.25, 0.15, 0.08)


def main() -> int:
    """Run all cases. Status 0 whether or not the bars are met, 1 where something failed."""
    args = _arguments()
    torch.set_num_threads(1)
    try:
        cases = [Case(net, data, args.images, args.mnist, args.out) for data in args.data for net in args.nets]
        results = {}
        for case in cases:
            results[case.label] = _case(case, args)
            (args.out / "morphnet.json").write_text(json.dumps(results, indent=1))
            plot(results, args.out / "morphnet.png")
    except HwawareError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130
    print(report(results))
    print(f"written: {args.out / 'morphnet.json'}, morphnet.png", file=sys.stderr)
    return 0


def _case(case: Case, args: argparse.Namespace) -> dict[str, object]:
    folder = args.out / case.label
    folder.mkdir(parents=True, exist_ok=True)
    table = table_for(case, args.out / "tables" / case.label)
    seeds = range(args.seeds)
    orders = [Order(case, args.out / "tables" / case.label, folder, FULL, (1.0,), seed, args.epochs) for seed in seeds]
    orders += [
        Order(case, args.out / "tables" / case.label, folder, method, args.shares, seed, args.epochs)
        for seed in seeds
        for method in args.methods
    ]
    runs: list[Run] = []
    for done in sweep(orders, args.processes):
        runs += done
        _say(case, f"{done[0].method}, seed {done[0].seed}: " + ", ".join(f"{run.metric:.4f}" for run in done))
    # Seeds of the uniform multiplier share their structure, and so do nets that came out alike.
    programs = {run.name: saved_program(folder, run) for run in runs}
    alike: dict[tuple[str, ...], str] = {}
    first = {name: alike.setdefault(tuple(op.workload.key for op in one.ops), name) for name, one in programs.items()}
    whole = programs[next(run.name for run in runs if run.method == FULL)]
    times, base = measured(
        {name: programs[name] for name in sorted(set(first.values()))}, whole, table, lambda what: _say(case, what)
    )
    runs = [replace(run, measured_ms=times[first[run.name]]) for run in runs]
    return {"runs": [asdict(run) for run in runs], "whole_ms": base, "images": case.images, "epochs": args.epochs}


def _say(case: Case, what: str) -> None:
    print(f"{case.label}: {what}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.morphnet", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks-out/morphnet"))
    parser.add_argument("--mnist", type=Path, default=Path("../shared/data/mnist"), help="folder of MNIST's IDX files")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES, help="budgets, of latency or FLOPs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--images", type=int, default=0, help="training images to take (0: all)")
    parser.add_argument("--processes", type=int, default=2)
    found = parser.parse_args()
    found.shares = tuple(found.shares)
    return found


if __name__ == "__main__":
    sys.exit(main())
