"""The command line of the protocol: its options, their bounds, and plain words for what makes no sense here."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_FILES = 64


@dataclass(frozen=True)
class Options:
    """What was asked, as `native/protocol.md` explains it."""

    verb: str
    threads: int = 1
    cpu: str | None = None
    no_pin: bool = False
    lock_frequency: bool = False
    cool_ms: int = 0
    min_time_ms: int = 0
    min_count: int = 1
    max_count: int = 1
    timeout_ms: int = 1
    seed: int = 1
    calm_work_ns: int = 0
    patience_ms: int = 0
    sysfs: str = ""
    only_from: str | None = None
    displace_kb: int = 0
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    thin: bool = False
    per_op: bool = False


@dataclass(frozen=True)
class _Number:
    name: str
    least: int
    most: int
    bench: int
    run: int


_NUMBERS = (
    _Number("threads", 1, 64, 1, 1),
    _Number("min-time-ms", 0, 3_600_000, 30, 500),
    _Number("min-count", 1, 1_000_000, 20, 50),
    _Number("max-count", 1, 1_000_000, 5_000, 20_000),
    _Number("timeout-ms", 1, 86_400_000, 60_000, 600_000),
    _Number("seed", 0, 2**63 - 1, 1, 1),
    _Number("cool-ms", 0, 600_000, 10_000, 60_000),
    _Number("calm-work-ns", 1, 2**63 - 1, 0, 0),
    _Number("patience-ms", 0, 3_600_000, 300, 1_000),
)


def parse(argv: Sequence[str]) -> Options:
    """The options; wrong usage ends the process with status 2 and a message on stderr."""
    parser = argparse.ArgumentParser(prog="agent", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("info", "cells", "bench", "run"):
        _declare(verbs.add_parser(verb, allow_abbrev=False), verb)
    given = vars(parser.parse_args(list(argv)))
    if given.pop("calm_meeting_ns", None) is not None:
        parser.error("--calm-meeting-ns is not possible here: this agent does not time how soon threads meet")
    for name in ("input", "output"):
        given[name] = tuple(given.get(name) or ())
    options = Options(**given)
    _check(parser, options)
    return options


def _declare(parser: argparse.ArgumentParser, verb: str) -> None:
    if verb in ("info", "cells"):
        return
    for number in _NUMBERS:
        default = number.bench if verb == "bench" else number.run
        parser.add_argument(f"--{number.name}", type=_within(number.least, number.most), default=default)
    parser.add_argument("--calm-meeting-ns", type=int)
    parser.add_argument("--cpu")
    parser.add_argument("--sysfs", default="")
    for flag in ("--no-pin", "--lock-frequency"):
        parser.add_argument(flag, action="store_true")
    if verb == "bench":
        parser.add_argument("--only-from")
        parser.add_argument("--displace-kb", type=_within(0, 4_194_304), default=0)
        return
    for name in ("--input", "--output"):
        parser.add_argument(name, action="append")
    for flag in ("--thin", "--per-op"):
        parser.add_argument(flag, action="store_true")


def _within(least: int, most: int) -> Callable[[str], int]:
    def parse_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"takes a number from {least} to {most}, not {text!r}")
        return number

    return parse_number


def _check(parser: argparse.ArgumentParser, options: Options) -> None:
    if options.no_pin and options.cpu is not None:
        parser.error("--no-pin and --cpu exclude each other")
    if options.thin and options.max_count < 2:
        parser.error("--thin keeps every second sample, so --max-count must be 2 or more")
    if options.thin and options.calm_work_ns:
        parser.error("--thin and --calm-work-ns exclude each other")
    if max(len(options.input), len(options.output)) > _FILES:
        parser.error(f"--input or --output given more than {_FILES} times")
