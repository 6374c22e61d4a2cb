"""What the verbs print: results on stdout, everything else on stderr, progress only on a terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


def emit(args: argparse.Namespace, document: Mapping[str, Any], text: str) -> None:
    """Print the verb's result: one JSON document with ``--json``, `text` otherwise."""
    if args.json:
        json.dump(document, sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        print(text)


def note(message: str) -> None:
    """One line about what is going on, on stderr."""
    print(message, file=sys.stderr, flush=True)


class Progress:
    """A step counter; silent unless stderr is a terminal."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar = bar
        self._task = task

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` further steps; `note` replaces the text behind the bar."""
        if self._bar is not None:
            self._bar.update(self._task, advance=n, note=note)

    def update(self, done: int, total: int, note: str = "") -> None:
        """Stand at `done` of `total` steps, where the total became known on the way."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, note=note)


class ProgressOf:
    """A step counter a device; silent unless stderr is a terminal."""

    def __init__(self, bar: Any, tasks: Mapping[str, Any]) -> None:
        self._bar = bar
        self._tasks = tasks

    def update(self, name: str, done: int, total: int, note: str = "") -> None:
        """The device `name` stands at `done` of `total` steps."""
        if self._bar is not None:
            self._bar.update(self._tasks[name], completed=done, total=total, note=note)

    def finish(self, name: str) -> None:
        """The device `name` is done."""
        if self._bar is not None:
            self._bar.update(self._tasks[name], completed=1, total=1, note="done")


@contextmanager
def progress(description: str, total: int) -> Iterator[Progress]:
    """A progress bar of `total` steps on stderr, or nothing where stderr is not a terminal."""
    with _bar() as bar:
        yield Progress(bar, None if bar is None else bar.add_task(description, total=total, note=""))


@contextmanager
def progress_of(names: Sequence[str]) -> Iterator[ProgressOf]:
    """A bar for each of `names`, or nothing where stderr is not a terminal."""
    with _bar() as bar:
        tasks = {} if bar is None else {name: bar.add_task(name, total=0, note="waiting") for name in names}
        yield ProgressOf(bar, tasks)


@contextmanager
def _bar() -> Iterator[Any]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar
