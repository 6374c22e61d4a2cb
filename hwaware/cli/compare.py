"""hwaware compare: a verdict for each report against the first."""

from __future__ import annotations

import argparse
from pathlib import Path

from hwaware.cli.output import emit, note
from hwaware.errors import ArtifactError

HELP = "compare latency reports"
EXAMPLE = "hwaware compare before.json after.json --html comparison.html --fail-if-slower"
SLOWER = 3  # exit status of --fail-if-slower


def configure(parser: argparse.ArgumentParser) -> None:
    """Two positionals, so that fewer than two reports is a wrong usage that argparse refuses itself."""
    parser.add_argument("baseline", type=Path, metavar="A.json", help="the report the others are compared with")
    parser.add_argument("others", type=Path, nargs="+", metavar="B.json", help="one or more other reports")
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="write a self-contained page as well")
    parser.add_argument(
        "--fail-if-slower",
        action="store_true",
        help="exit with status 3 if a report is slower than the first",
    )


def run(args: argparse.Namespace) -> int:
    """Print the verdicts; raises ArtifactError (status 1) for reports that cannot be read or compared."""
    from hwaware.reports.compare import compare, report_labels
    from hwaware.reports.latency_report import LatencyReport
    from hwaware.reports.text import comparison_text

    paths = [args.baseline, *args.others]
    reports = [LatencyReport.load(path) for path in paths]
    comparison = compare(*reports, labels=report_labels(reports, [path.stem for path in paths]))
    if args.html is not None:
        from hwaware.reports.html import write_page

        # Also where the reports cannot be compared: the page shows each of them and says why.
        note(f"page: {write_page(args.html, reports, comparison, title='Latency comparison')}")
    emit(args, comparison.to_document(), comparison_text(reports, comparison))
    if not comparison.comparable:
        raise ArtifactError(
            f"not comparable: {'; '.join(comparison.reasons)}; "
            "measure them alike with `hwaware run ARTIFACT --device NAME --report FILE`"
        )
    return SLOWER if args.fail_if_slower and comparison.slower else 0
