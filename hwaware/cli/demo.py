"""`hwaware demo`: the whole way on embedded data, ending with a page."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.cli.output import emit, note

if TYPE_CHECKING:
    from hwaware.demo import DemoResult

HELP = "run the whole way on embedded data and end with a report page"
EXAMPLE = "hwaware demo --out hwaware-demo"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("hwaware-demo"),
        metavar="DIR",
        help="folder for everything (default hwaware-demo)",
    )


def run(args: argparse.Namespace) -> int:
    """Run it and print the verdict and the path of the page."""
    from hwaware.demo import run_demo

    start = time.monotonic()
    result = run_demo(args.out, lambda line: note(f"[{time.monotonic() - start:5.1f} s] {line}"))
    note(f"[{time.monotonic() - start:5.1f} s] done")
    emit(args, _document(result), _text(result))
    return 0


def _document(result: DemoResult) -> dict[str, object]:
    return {
        "page": str(result.page),
        "table": str(result.table),
        "comparison": result.comparison.to_document(),
        "before": {"latency_ms": result.before.latency_ms.p50, "accuracy": result.before.accuracy},
        "after": {
            "latency_ms": result.after.latency_ms.p50,
            "accuracy": result.after.accuracy,
            "predicted_ms": result.after.predicted.latency_ms if result.after.predicted else None,
        },
    }


def _text(result: DemoResult) -> str:
    from hwaware.reports.wording import headline

    lines = [headline([result.before, result.after], result.comparison) + "."]
    for report in (result.before, result.after):
        measured = report.latency_ms.p50
        line = f"  {report.model:20} measured {measured:.4f} ms"
        if report.predicted is not None:
            predicted = report.predicted.latency_ms
            line += f", predicted {predicted:.4f} ms ({predicted / measured - 1:+.1%})"
        if report.accuracy is not None:
            line += f", accuracy {report.accuracy:.1%}"
        lines.append(line)
    lines.append(f"page: {result.page}")
    return "\n".join(lines)
