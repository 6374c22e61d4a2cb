"""Build the executables of a bench, side by side or ahead of the measuring, around what does not compile."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from hwaware.compiler.bundle import build_bundle
from hwaware.compiler.choice import Variant
from hwaware.compiler.targets import Target
from hwaware.costs.row import FAILED, CellRow
from hwaware.devices.output import one_line
from hwaware.errors import BuildError
from hwaware.profiling.lines import empty_row

Job: TypeAlias = tuple[Sequence[Variant], Path]
Built: TypeAlias = tuple[list[Variant], list[CellRow]]  # what is in the executable, what failed to build


@dataclass(frozen=True)
class Builder:
    """Builds bundles for `target`, in `processes`. `check_time` is called before each and may raise to end the work."""

    target: Target
    threads: int
    check_time: Callable[[], None]
    processes: int

    def in_turn(self, jobs: Sequence[Job]) -> Generator[Built, None, None]:
        """One by one, each when it is asked for: nothing else runs on the machine meanwhile."""
        for job in jobs:
            yield self.build(*job)

    def ahead(self, jobs: Sequence[Job]) -> Generator[Built, None, None]:
        """In a thread beside the measuring."""
        pool = ThreadPoolExecutor(1)
        try:
            for future in [pool.submit(self.build, *job) for job in jobs]:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def build(self, variants: Sequence[Variant], path: Path) -> Built:
        """Build one executable; what cannot be built is left out, found by halving, as failed rows."""
        self.check_time()
        good, failed = list(variants), list[CellRow]()
        while good:
            try:
                self._bundle(good, path)
                break
            except BuildError:
                bad, reason = self._culprit(good, path)
                failed.append(self._failed(bad, reason))
                good.remove(bad)
        return good, failed

    def _bundle(self, variants: Sequence[Variant], path: Path) -> None:
        build_bundle(variants, self.target, path, jobs=self.processes)

    def _culprit(self, variants: Sequence[Variant], path: Path) -> tuple[Variant, str]:
        if len(variants) == 1:
            try:
                self._bundle(variants, path)
            except BuildError as error:
                return variants[0], str(error)
            raise BuildError("code generation failed once and then not again; profile again with --resume")
        half = len(variants) // 2
        try:
            self._bundle(variants[:half], path)
        except BuildError:
            return self._culprit(variants[:half], path)
        return self._culprit(variants[half:], path)

    def _failed(self, variant: Variant, reason: str) -> CellRow:
        return replace(empty_row(variant, self.threads), status=FAILED, reason=one_line(reason))
