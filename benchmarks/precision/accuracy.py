"""What integers cost trained nets: after calibration alone, and 4-bit weights with learned rounding as well.

Bars, on the mean over seeds: int8 loses at most 0.1 point of test accuracy after calibration alone, 4-bit weights at
most 0.5.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from benchmarks.morphnet.fashion import fashion_folder
from benchmarks.morphnet.tasks import Case
from benchmarks.precision.integers import calibrated, reconstructed
from benchmarks.precision.nets import DATA, net
from hwaware.compression.task import evaluate
from hwaware.graph.model import GraphModel

# Losses in accuracy that are allowed, by what was done.
MOST = {"int8p": 0.001, "int8": 0.001, "weight4 rounded": 0.005}
Row = dict[str, Any]


def accuracy(args: argparse.Namespace) -> list[Row]:
    """A row for each net and seed, as they end; those that are on disk are not made again."""
    if any(DATA[name] == "fashion" for name in args.nets):
        fashion_folder(args.cache / "fashion-mnist")  # once, before several processes ask for it
    rows = []
    with ProcessPoolExecutor(args.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [
            pool.submit(_row, case_of(name, args), seed, args.epochs, args.out)
            for seed in range(args.seeds)
            for name in args.nets
        ]
        for job in as_completed(jobs):
            rows.append(job.result())
    rows.sort(key=lambda row: (list(DATA).index(row["net"].partition("@")[0]), row["seed"]))
    (args.out / "accuracy.json").write_text(json.dumps(rows, indent=1))
    return rows


def case_of(name: str, args: argparse.Namespace) -> Case:
    """The net `name` on its data."""
    return Case(name, DATA[name], args.images, args.mnist, args.cache)


def _row(case: Case, seed: int, epochs: int, out: Path) -> Row:
    torch.set_num_threads(1)
    path = out / "accuracy" / f"{case.label}-{case.images}-{epochs}-{seed}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    task = net(case, seed, epochs, out / "nets")
    model = task.model
    assert isinstance(model, GraphModel)
    metrics = {"float32": evaluate(task, model)}
    for precision in ("int8p", "int8", "weight4"):
        metrics[precision] = evaluate(task, calibrated(model, task, precision))
    metrics["weight4 rounded"] = evaluate(task, reconstructed(model, task, "weight4"))
    row = {"net": case.label, "seed": seed, "epochs": epochs, "images": case.images, "metrics": metrics}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row))
    return row
