"""`python -m benchmarks.morphnet`: nets narrowed by measured cost, by FLOPs and uniformly, trained and measured here.

Four parts. `curves`: for every net and data set a cost table of this machine, narrower nets by each method at several
budgets and seeds, all measured in turn. `budgets`: whether what is asked is what is measured. `regression`: a control
net. `inception`: a large net the whole way. Results: a report on stdout, JSON and a picture in the folder --out. What
is trained or profiled is on disk: the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks.morphnet.budgets import budgets
from benchmarks.morphnet.clock import measured
from benchmarks.morphnet.inception import inception
from benchmarks.morphnet.methods import COUNTING, METHODS
from benchmarks.morphnet.plot import plot
from benchmarks.morphnet.regression import regression
from benchmarks.morphnet.report import report
from benchmarks.morphnet.sweep import FULL, Order, Run, saved_program, sweep
from benchmarks.morphnet.tables import table_for
from benchmarks.morphnet.tasks import DATA, NETS, Case
from hwaware.errors import HwawareError

# Of latency and of FLOPs: narrow layers take longer than their FLOPs say, so these go further down.
SHARES, FLOPS_SHARES = (0.5, 0.3, 0.2, 0.12, 0.07), (0.4, 0.2, 0.1, 0.05, 0.025)


def main() -> int:
    """Run all parts. Status 0 whether or not the bars are met, 1 where something failed."""
    args = _arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        said = [_PARTS[part](args) for part in args.parts]
    except HwawareError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130
    print("\n\n".join(said))
    print(f"written: {args.out}", file=sys.stderr)
    return 0


def _curves(args: argparse.Namespace) -> str:
    results = {}
    cases = [Case(net, data, args.images, args.mnist, args.out) for data in args.data for net in args.nets]
    for case in cases:  # all tables first: nothing trains meanwhile
        table_for(case, args.out / "tables" / case.table_label)
    for case in cases:
        results[case.label] = _case(case, args)
        (args.out / "curves.json").write_text(json.dumps(results, indent=1))
        plot(results, args.out / "curves.png")
    return report(results)


_PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "budgets": lambda args: budgets(args.out),
    "regression": lambda args: regression(args.out),
    "curves": _curves,
    "inception": lambda args: inception(args.out),
}


def _case(case: Case, args: argparse.Namespace) -> dict[str, object]:
    folder = args.out / case.label
    folder.mkdir(parents=True, exist_ok=True)
    place = args.out / "tables" / case.table_label
    table = table_for(case, place)
    seeds = range(args.seeds)
    orders = [Order(case, place, folder, FULL, (1.0,), seed, args.epochs) for seed in seeds]
    orders += [
        Order(case, place, folder, method, _shares(method, args), seed, args.epochs)
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


def _shares(method: str, args: argparse.Namespace) -> tuple[float, ...]:
    return tuple(args.flops_shares if method in COUNTING else args.shares)


def _say(case: Case, what: str) -> None:
    print(f"{case.label}: {what}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.morphnet", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks-out/morphnet"))
    parser.add_argument("--mnist", type=Path, default=Path("../shared/data/mnist"), help="folder of MNIST's IDX files")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES, help="budgets of latency")
    parser.add_argument("--flops-shares", nargs="+", type=float, default=FLOPS_SHARES, help="budgets of FLOPs")
    parser.add_argument("--parts", nargs="+", choices=tuple(_PARTS), default=list(_PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20, help="of final training (and at least of the first)")
    parser.add_argument("--images", type=int, default=0, help="training images to take (0: all)")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
