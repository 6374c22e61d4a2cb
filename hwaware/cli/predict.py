"""hwaware predict: what a model will cost, from a cost table."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwaware.cli.arguments import add_unit
from hwaware.cli.output import emit

if TYPE_CHECKING:
    from hwaware.costs.prediction import Prediction

HELP = "latency and memory of a model, answered from a cost table"
EXAMPLE = "hwaware predict zoo:resnet8 --table hwaware-tables/pi4/resnet8"
_SHOWN = 10
_MEMORY = {"peak_rss": "peak resident"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("model", metavar="MODEL", help="zoo:NAME, FILE.py:FACTORY, FILE.pt2 or a directory")
    parser.add_argument("--table", type=Path, required=True, metavar="DIR", help="what `hwaware profile` wrote")
    add_unit(parser)


def run(args: argparse.Namespace) -> int:
    """Print the prediction; a missing cost is an error, never a 0."""
    from hwaware.costs.predict import predict
    from hwaware.costs.table import CostTable
    from hwaware.costs.validation import held_back, in_words, read_checks, summary
    from hwaware.reference import load_model

    table = CostTable.load(args.table)
    if args.unit is not None:
        table = table.of(args.unit)
    held_out = summary(held_back(read_checks(args.table, table.manifest.unit)))
    model = load_model(args.model)
    prediction = predict(model.module, model.example_inputs, table)
    document: dict[str, Any] = prediction.document() | {"validation": held_out if held_out["n"] else None}
    emit(args, document, _text(model.name, table.manifest.device, prediction, in_words(held_out)))
    return 0


def _text(name: str, device: str, prediction: Prediction, accuracy: str) -> str:
    low, high = prediction.interval_ms
    memory = ", ".join(
        f"{_MEMORY.get(what, what)} {size / 1024:.0f} KiB" for what, size in prediction.memory_bytes.items()
    )
    known = ", ".join(f"{count} {how}" for how, count in Counter(op.provenance for op in prediction.ops).most_common())
    lines = [
        f"{name} on {device}: {prediction.latency_ms:.3f} ms (90 % interval {low:.3f} to {high:.3f}); {memory}",
        f"accuracy: {accuracy}",
        f"operations: {known}; the dearest of {len(prediction.ops)}:",
    ]
    dearest = sorted(prediction.ops, key=lambda op: -op.latency_ms)[:_SHOWN]
    width = max((len(op.name) for op in dearest), default=0)
    for op in dearest:
        share = op.latency_ms / prediction.latency_ms if prediction.latency_ms else 0.0
        kind = op.key.split("|", 1)[0]
        lines.append(f"  {op.latency_ms:9.4f} ms {share:5.1%}  {op.name:<{width}}  {kind:<16} {op.provenance}")
    return "\n".join(lines)
