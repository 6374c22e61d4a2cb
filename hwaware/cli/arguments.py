"""Types of options that several verbs share."""

from __future__ import annotations

import argparse

MOST_THREADS = 256


def threads(text: str) -> int:
    """A number of threads."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads from 1 to {MOST_THREADS}")
    return int(text)
