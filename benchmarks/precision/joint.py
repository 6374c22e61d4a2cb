"""Widths and precisions together against either alone and against FLOPs: accuracy over measured latency.

Tables first, with nothing else running; then nets and plans, trained side by side; then all are measured in turn. What
is trained or profiled is on disk.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed, wait
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.morphnet.clock import measured
from benchmarks.morphnet.plot import plot
from benchmarks.morphnet.sweep import Run, saved_program
from benchmarks.morphnet.tasks import DATA, NETS, Case, task_of
from benchmarks.precision.nets import net, trained_on
from benchmarks.precision.plans import FLOPS, FULL, METHODS, Order, carried_out
from benchmarks.precision.tables import table_of
from hwaware.compression.compress import PRECISION
from hwaware.costs.table import CostTable
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel

__all__ = ["DATA", "NETS", "joint"]


def joint(args: argparse.Namespace) -> dict[str, Any]:
    """By case the runs of all methods."""
    cases = [Case(name, data, args.images, args.mnist, args.cache) for data in args.data for name in args.joint_nets]
    for case in cases:
        task = task_of(case)
        model = GraphModel(capture_batched(task.model, task.example_inputs), task.example_inputs).eval()
        table_of(model, case.table_label, _table(case, args), args.precisions)
    results = {}
    for case in cases:
        results[case.label] = _case(case, args)
        (args.out / "joint.json").write_text(json.dumps(results, indent=1))
        plot(results, args.out / "joint.png")
    return results


def _table(case: Case, args: argparse.Namespace) -> Path:
    out: Path = args.out
    return out / "tables" / "+".join([case.table_label, *args.precisions])


def _case(case: Case, args: argparse.Namespace) -> dict[str, Any]:
    place = _table(case, args)
    orders = [
        Order(case, place, args.out, method, shares, seed, args.epochs, args.epochs, args.precisions)
        for method, shares in {FULL: (1.0,), **{method: _shares(method, args) for method in METHODS}}.items()
        for seed in range(args.seeds)
    ]
    runs: list[Run] = []
    with ProcessPoolExecutor(args.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        # The nets that plans start from first: several plans start from one.
        wait([pool.submit(_nets, case, seed, args) for seed in range(args.seeds)])
        for job in as_completed([pool.submit(carried_out, order) for order in orders]):
            done = job.result()
            runs += done
            _say(case, "; ".join(f"{run.name} {run.metric:.4f}" for run in done) or "a method without a plan")
    return {"runs": [asdict(run) for run in _timed(case, runs, args)], "epochs": args.epochs, "images": case.images}


def _nets(case: Case, seed: int, args: argparse.Namespace) -> None:
    net(case, seed, args.epochs, args.out / "nets")
    trained_on(case, seed, args.epochs, args.epochs, args.out / "nets")


def _timed(case: Case, runs: Sequence[Run], args: argparse.Namespace) -> list[Run]:
    """The runs with their measured latency; nets of the same operations are measured once."""
    folder = args.out / case.label
    programs = {run.name: saved_program(folder, run) for run in runs}
    alike: dict[tuple[str, ...], str] = {}
    first = {name: alike.setdefault(tuple(op.workload.key for op in one.ops), name) for name, one in programs.items()}
    whole = programs[next(run.name for run in runs if run.method == FULL)]
    times, _ = measured(
        {name: programs[name] for name in sorted(set(first.values()))},
        whole,
        CostTable.load(_table(case, args)),
        lambda what: _say(case, what),
    )
    return [replace(run, measured_ms=times[first[run.name]]) for run in runs]


def _shares(method: str, args: argparse.Namespace) -> tuple[float, ...]:
    return tuple({FLOPS: args.flops_shares, PRECISION: args.precision_shares}.get(method, args.shares))


def _say(case: Case, what: str) -> None:
    print(f"joint, {case.label}: {what}", file=sys.stderr, flush=True)
