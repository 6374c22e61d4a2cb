"""Whole models in integers against our own float32 and against other runtimes' integers, measured in turn.

Bars: faster than float32 or left in it; at least 1.2 times as fast as each of the others, in its fastest format.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import hwaware
from benchmarks.ours import Ours
from benchmarks.peers.sources import write_source
from benchmarks.precision.fastest import Fastest, fastest
from benchmarks.precision.int8_peers import CALIBRATION, INT8_PEERS
from benchmarks.precision.lineup import Contestant, line_up
from benchmarks.precision.quality import quality
from benchmarks.precision.random_task import random_task
from benchmarks.precision.tables import table_of
from benchmarks.precision.turns import Effort, in_turn
from hwaware.compression.task import Task
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device, open_device
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel
from hwaware.statistics import median_ratio
from hwaware.zoo.batches import Batches

MODELS = ("mobilenet_v2", "resnet18")
OURS, FLOAT = "ours", "float32"
Row = dict[str, Any]


def speed(args: argparse.Namespace) -> list[Row]:
    """A row for each model and number of threads; rows that are on disk are not measured again."""
    path = args.out / "speed.json"
    rows: list[Row] = json.loads(path.read_text()) if path.exists() else []
    for name in args.models:
        task = random_task(name)
        for threads in args.threads:
            if any((row["model"], row["threads"]) == (name, threads) for row in rows):
                continue
            rows.append(_row(task, threads, args))
            path.write_text(json.dumps(rows, indent=1))
    return rows


def _row(task: Task, threads: int, args: argparse.Namespace) -> Row:
    whole = GraphModel(capture_batched(task.model, task.example_inputs), task.example_inputs).eval()
    label = f"{task.name}-{threads}"
    place = args.out / "tables" / label
    table = table_of(
        whole, label, place, ("int8p",), threads=threads, budget_s=args.profile_s, rounds=args.profile_rounds
    )
    images = _images(task, args.checked)
    with torch.no_grad():
        expected = whole(torch.from_numpy(images)).numpy()
    with open_device("local") as device, tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        _say(label, "choosing precisions")
        made = fastest(task, whole, table, device)
        plain = _compiled(whole, device, table, folder / "float")
        ours = plain if made.left else _compiled(made.model, device, table, folder / "ours")
        _say(label, "converting for the peers")
        _write(task, folder)
        peers = [INT8_PEERS[peer] for peer in args.peers]
        ready, reasons = line_up(peers, folder, images, threads, stack)
        _say(label, "measuring")
        sides = {OURS: ours.sample, FLOAT: plain.sample, **{peer: one.sample for peer, one in ready.items()}}
        samples = in_turn(sides, Effort(args.rounds, args.seconds))
        outputs = np.concatenate([ours.check([image[None]])[0][0] for image in images])
    return {
        "model": task.name,
        "threads": threads,
        "images": len(images),
        **_ours(made, samples, outputs, expected),
        "peers": [_peer(peer.name, ready, reasons, samples, expected) for peer in peers],
    }


def _ours(made: Fastest, samples: Mapping[str, Sequence[float]], outputs: np.ndarray, expected: np.ndarray) -> Row:
    return {
        "layers": made.layers,
        "left": made.left,
        "note": made.note,
        "predicted_share": made.predicted_share,
        "ours_ms": float(np.median(samples[OURS])),
        "float_ms": float(np.median(samples[FLOAT])),
        "times_faster": asdict(median_ratio(samples[OURS], samples[FLOAT])),
        **asdict(quality(outputs, expected)),
    }


def _peer(
    name: str,
    ready: Mapping[str, Contestant],
    reasons: Mapping[str, str],
    samples: Mapping[str, Sequence[float]],
    expected: np.ndarray,
) -> Row:
    if name not in ready:
        return {"name": name, "reason": reasons[name]}
    return {
        "name": name,
        "setting": ready[name].setting,
        "ms": float(np.median(samples[name])),
        "times_faster": asdict(median_ratio(samples[OURS], samples[name])),
        **asdict(quality(ready[name].outputs, expected)),
    }


def _compiled(model: GraphModel, device: Device, table: CostTable, folder: Path) -> Ours:
    artifact = hwaware.compile(model, model.example_inputs, device, out=folder, name=folder.name, table=table)
    return Ours(artifact, device, table.manifest.threads)


def _write(task: Task, folder: Path) -> None:
    """What the peers start from: the model and the images that we are calibrated with."""
    assert isinstance(task.train_data, Batches)
    write_source(task.model, task.example_inputs, folder)
    np.save(folder / CALIBRATION, task.train_data.x.numpy())


def _images(task: Task, count: int) -> np.ndarray:
    assert isinstance(task.eval_data, Batches)
    images: np.ndarray = task.eval_data.x[:count].numpy()
    return images


def _say(label: str, what: str) -> None:
    print(f"{label}: {what}", file=sys.stderr, flush=True)
