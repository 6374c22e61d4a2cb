"""Types of options that several verbs share."""

from __future__ import annotations

import argparse

MOST_THREADS = 256


def threads(text: str) -> int:
    """A number of threads."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads from 1 to {MOST_THREADS}")
    return int(text)


def factor(text: str) -> float:
    """From 1 to 16 times as wide."""
    return number(text, 1.0, 16.0, "a factor from 1 to 16, like 1.5")


def times(text: str) -> float:
    """Of a budget."""
    return number(text, 0.01, 100.0, "a number from 0.01 to 100, like 0.8")


def number(text: str, least: float, most: float, wanted: str) -> float:
    """One from `least` to `most`."""
    try:
        found = float(text)
    except ValueError:
        found = least - 1
    if not least <= found <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return found


def add_unit(parser: argparse.ArgumentParser) -> None:
    """The option ``--unit``."""
    parser.add_argument(
        "--unit",
        choices=("cpu", "gpu"),
        help="what computes: the processor or the GPU (default: gpu on a board such as a Jetson, else cpu)",
    )


def add_cores(parser: argparse.ArgumentParser, *, each: bool = False) -> None:
    """The option ``--cores``; `each` where it may mean all clusters, one after the other."""
    parser.add_argument(
        "--cores",
        metavar="CORES",
        help="keep to these: big, middle, little, a core's name such as cortex-a55, or cpus such as 0-3"
        + ("; each: one table for each cluster" if each else "")
        + " (default: the fastest cluster that has enough)",
    )
