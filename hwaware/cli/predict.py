"""hwaware predict: what a model will cost, from a cost table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.cli.output import emit

if TYPE_CHECKING:
    from hwaware.costs.model import Prediction

HELP = "latency and memory of a model, answered from a cost table"
EXAMPLE = "hwaware predict zoo:resnet8 --table hwaware-tables/pi4/resnet8"
_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("model", metavar="MODEL", help="zoo:NAME, FILE.py:FACTORY, FILE.pt2 or a directory")
    parser.add_argument("--table", type=Path, required=True, metavar="DIR", help="what `hwaware profile` wrote")


def run(args: argparse.Namespace) -> int:
    """Print the prediction; a missing cost is an error, never a 0."""
    from hwaware.costs.predict import predict
    from hwaware.costs.table import CostTable
    from hwaware.reference import load_model

    table = CostTable.load(args.table)
    model = load_model(args.model)
    prediction = predict(model.module, model.example_inputs, table)
    emit(args, prediction.document(), _text(model.name, table.manifest.device, prediction))
    return 0


def _text(name: str, device: str, prediction: Prediction) -> str:
    low, high = prediction.interval_ms
    memory = ", ".join(f"{what} {size / 1024:.0f} KiB" for what, size in prediction.memory_bytes.items())
    lines = [
        f"{name} on {device}: {prediction.latency_ms:.3f} ms ({low:.3f} to {high:.3f}); {memory}",
        f"dearest of {len(prediction.ops)} operations:",
    ]
    dearest = sorted(prediction.ops, key=lambda op: -op.latency_ms)[:_SHOWN]
    width = max((len(op.name) for op in dearest), default=0)
    for op in dearest:
        share = op.latency_ms / prediction.latency_ms if prediction.latency_ms else 0.0
        kind = op.key.split("|", 1)[0]
        lines.append(f"  {op.latency_ms:9.4f} ms {share:5.1%}  {op.name:<{width}}  {kind:<16} {op.provenance}")
    return "\n".join(lines)
