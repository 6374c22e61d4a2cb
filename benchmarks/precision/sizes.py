"""Bytes of weights in integers and in 4 bits against float32: in the artifact, and resident while the model runs.

float32 is the smaller of two figures: four bytes a parameter, or what our float32 artifact has (more than that where
weights are transformed for Winograd). Bars: at most 26 % in int8, at most 14 % in 4 bits.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.precision.integers import calibrated, parameter_bytes
from benchmarks.precision.random_task import random_task
from hwaware.compiler.artifact import build_artifact
from hwaware.compression.quantize.choices import Precision
from hwaware.compression.task import Task
from hwaware.devices.device import Device, open_device
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel
from hwaware.profiling.run import run_artifact
from hwaware.profiling.target import target_of

MODELS = ("mobilenet_v2", "resnet18", "resnet20", "mobilenet_v2_small", "lenet5")
PRECISIONS: tuple[Precision, ...] = ("float32", "int8p", "int8", "weight8", "weight4")
# Of float32, for precisions that have a bar.
MOST = {"int8p": 0.26, "int8": 0.26, "weight4": 0.14}
Row = dict[str, Any]


def sizes(args: argparse.Namespace) -> list[Row]:
    """A row for each model and precision; models that are on disk are not compiled again."""
    path = args.out / "bytes.json"
    rows: list[Row] = json.loads(path.read_text()) if path.exists() else []
    with open_device("local") as device:
        for name in args.sized:
            if any(row["model"] == name for row in rows):
                continue
            rows += model_rows(random_task(name), device)
            path.write_text(json.dumps(rows, indent=1))
    return rows


def model_rows(task: Task, device: Device) -> list[Row]:
    """One model in all precisions, as the compiler writes it without a table."""
    whole = GraphModel(capture_batched(task.model, task.example_inputs), task.example_inputs).eval()
    rows: list[Row] = []
    for precision in PRECISIONS:
        model = whole if precision == "float32" else calibrated(whole, task, precision)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "artifact"
            artifact = build_artifact(model, model.example_inputs, target_of(device), out, name=precision)
            file = (out / "weights.bin").stat().st_size
            run = run_artifact(artifact, device, min_time_ms=50, min_count=5)
        rows.append(
            {
                "model": task.name,
                "precision": precision,
                "parameters": parameter_bytes(whole),
                "manifest": int(artifact.manifest["memory"]["weights"]),
                "file": file,
                "resident": run.weights,
                "arena": run.arena,
                "peak_rss": run.peak_rss,
            }
        )
    return rows


def shares(rows: list[Row], row: Row) -> dict[str, float]:
    """`row` of `rows` as shares of float32: in the manifest, on disk, resident."""
    plain = next(one for one in rows if (one["model"], one["precision"]) == (row["model"], "float32"))
    return {
        place: row[place] / min(row["parameters"], plain[place] or row["parameters"])
        for place in ("manifest", "file", "resident")
    }
