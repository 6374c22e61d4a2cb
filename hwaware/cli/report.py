"""hwaware report: the HTML page of one or more latency reports."""

from __future__ import annotations

import argparse
from pathlib import Path

from hwaware.cli.output import emit

HELP = "write the HTML page of latency reports"
EXAMPLE = "hwaware report before.json after.json --html page.html --title 'resnet8 on my board'"


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("reports", type=Path, nargs="+", metavar="R.json", help="reports; the first is the baseline")
    parser.add_argument("--html", type=Path, required=True, metavar="PAGE.html", help="where the page goes")
    parser.add_argument("--title", default="Latency report", help="the page's title (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Write the page; raises ArtifactError (status 1) for a report that cannot be read."""
    from hwaware.reports.compare import compare, report_labels
    from hwaware.reports.html import write_page
    from hwaware.reports.latency_report import LatencyReport
    from hwaware.reports.wording import headline

    reports = [LatencyReport.load(path) for path in args.reports]
    labels = report_labels(reports, [path.stem for path in args.reports])
    comparison = compare(*reports, labels=labels) if len(reports) > 1 else None
    page = write_page(args.html, reports, comparison, title=args.title)
    sentence = headline(reports, comparison)
    emit(args, {"page": str(page), "summary": sentence}, f"{sentence}.\npage: {page}")
    return 0
