"""The command line: one verb a file, imported only when its name is typed."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from hwaware.errors import HwawareError

# The help lines stand here, not in the verbs, so that `hwaware --help` imports none of them.
VERBS = {
    "demo": "run the whole way on embedded data and end with a report page",
    "devices": "list, add, trust, show and remove devices",
    "profile": "measure a model's operations on a device into a cost table",
    "merge": "merge cost tables of one device",
    "predict": "latency and memory of a model, answered from a cost table",
    "compress": "shrink a task's model to a budget by measured costs",
    "compile": "compile a model for a device",
    "run": "run and measure a compiled artifact on its device",
    "compare": "compare latency reports",
    "report": "write the HTML page of latency reports",
    "doctor": "say what works on this machine and what is missing",
}


def build_parser(verb: str | None) -> argparse.ArgumentParser:
    """The parser; only the options of `verb` are filled in."""
    parser = argparse.ArgumentParser(
        prog="hwaware",
        description="Compress neural networks for a board by what was measured on that board.",
        epilog="example: hwaware demo",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, help_line in VERBS.items():
        sub = verbs.add_parser(name, help=help_line, description=help_line[0].upper() + help_line[1:] + ".")
        if name != verb:
            continue
        module = importlib.import_module(f"hwaware.cli.{name}")
        sub.formatter_class = argparse.RawDescriptionHelpFormatter
        sub.epilog = f"example:\n  {module.EXAMPLE}"
        module.configure(sub)
        add_common(sub)
        sub.set_defaults(run=module.run)
    return parser


class _Version(argparse.Action):
    """Looked up only where it is asked for: package metadata take a while to find."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"hwaware {version('hwaware')}")
        parser.exit()


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options every verb takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `hwaware` command; returns the exit status (0, 1, 2 or 3)."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in words if not word.startswith("-")), None)
    args = build_parser(verb).parse_args(words)
    try:
        return int(args.run(args))
    except HwawareError as error:
        if args.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; nothing is left half-written", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our stdout (head, less) has gone; that is its right.
        sys.stderr.close()
        return 0
