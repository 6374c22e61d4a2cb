"""Build bundles of cells, run them on the device, hand out rows as they arrive."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

from hwaware.compiler.choice import Variant
from hwaware.compiler.targets import Target
from hwaware.compiler.workers import processes
from hwaware.costs.row import CellRow
from hwaware.devices.clusters import FASTEST, Cores
from hwaware.devices.device import Device
from hwaware.devices.measuring import Modes
from hwaware.devices.output import one_line
from hwaware.errors import AgentError, DeviceError
from hwaware.profiling.building import Builder
from hwaware.profiling.calm import Witness
from hwaware.profiling.lines import BenchLines, Reading
from hwaware.profiling.sieve import Sieve

BUNDLE = 64
MOST_RETRIES = 2
# How often in a row an agent may end without having measured anything: it may have been killed, or be unable to run.
MOST_FRUITLESS = 3
# Longest for a cell, and for each sample of it.
_CELL_S, _SAMPLE_S = 60, 2
_COOL_S = 10
_GRACE_S = 60.0
_MOST_ID = 4000  # the agent reads ids from lines of 4095 bytes
OnRow: TypeAlias = Callable[[CellRow], None]


class OutOfTime(Exception):
    """The time for measuring is over."""


@dataclass(frozen=True)
class Effort:
    """How a cell is timed.

    `displace_kb`: what the rest of the model touches between two calls of its kernel. `pinned`: each thread stays on a
    CPU of its own, at a fixed frequency where the device lets us; otherwise threads and frequency are the system's.
    """

    displace_kb: int
    min_time_ms: int = 40
    min_count: int = 30
    max_count: int = 400
    pinned: bool = True

    def arguments(self) -> list[str]:
        """The agent's options."""
        numbers = {name: value for name, value in asdict(self).items() if name != "pinned"}
        words = [word for name, value in numbers.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        return [*words, "--cool-ms", str(_COOL_S * 1000), "--lock-frequency" if self.pinned else "--no-pin"]


@dataclass(frozen=True)
class Bench:
    """Measures variants on a device whose lease is held. `deadline` is in `time.monotonic` seconds.

    Cells measured under bad conditions are measured up to `retries` times more, at the end of their bundle, and keep
    their best measurement. `witness` is what the agent said of the device; copies of a bench share it. `modes` are held
    by whoever made the bench.
    """

    device: Device
    target: Target
    threads: int
    effort: Effort
    deadline: float | None = None
    retries: int = MOST_RETRIES
    witness: Witness = field(default_factory=Witness, compare=False)
    cores: Cores = FASTEST
    modes: Modes = field(default_factory=Modes, compare=False)

    def measure(self, variants: Sequence[Variant], on_row: OnRow, seed: int = 1) -> None:
        """One row for every variant, in bundles. Raises OutOfTime at the deadline; rows given out stand.

        The next bundle is built while one is measured only where that is another machine's processor.
        """
        parts = [variants[start : start + BUNDLE] for start in range(0, len(variants), BUNDLE)]
        builder = Builder(self.target, self.threads, self._check_time, processes())
        builds_of = builder.in_turn if self._is_here() else builder.ahead
        with tempfile.TemporaryDirectory(prefix="hwaware-") as scratch:
            jobs = [(part, Path(scratch) / f"bundle{index}") for index, part in enumerate(parts)]
            with contextlib.closing(builds_of(jobs)) as builds:
                for (_, path), (good, failed) in zip(jobs, builds, strict=True):
                    for row in failed:
                        on_row(row)
                    if good:
                        self._run(path, good, on_row, seed)
                        path.unlink()

    def _is_here(self) -> bool:
        """Whether the device is the machine this runs on, by whichever way it is reached."""
        boot = Path("/proc/sys/kernel/random/boot_id")
        answer = self.device.transport.run(["cat", str(boot)], timeout=_GRACE_S)
        return not boot.exists() or answer.stdout.strip() == boot.read_text().strip()

    def _run(self, path: Path, variants: Sequence[Variant], on_row: OnRow, seed: int) -> None:
        """Measure a bundle; every cell has one row when this returns."""
        self.modes.settle()
        transport = self.device.transport
        wanted = {variant.id: variant for variant in variants}
        sieve = Sieve(self.witness, on_row, len(variants))
        # Used once: among the lease's files, so that it goes even if this process is killed.
        agent = transport.push_file(path, path.name, program=True)
        try:
            self._pass(agent, path, variants, sieve.take, seed, all_of_it=True)
            for attempt in range(1, self.retries + 1):
                again = sieve.again()
                if not again:
                    break
                self._pass(agent, path, [wanted[name] for name in again], sieve.take, seed + attempt, all_of_it=False)
        finally:
            sieve.flush()
            # Bundles are many and used once; if the device is lost, what ended the run is the news.
            with contextlib.suppress(DeviceError):
                transport.run(["rm", "-f", agent], timeout=_GRACE_S)

    def _pass(
        self,
        agent: str,
        path: Path,
        variants: Sequence[Variant],
        take: Callable[[Reading], None],
        seed: int,
        *,
        all_of_it: bool,
    ) -> None:
        """Run a bundle until each of `variants` was measured; an agent that dies is started again for the rest."""
        transport = self.device.transport
        lines = BenchLines({variant.id: variant for variant in variants}, self.threads, self.device.name)

        def read(line: str) -> None:
            reading = lines.read(line)
            if reading is not None:
                take(reading)
            self._check_time()

        fruitless = 0
        while fruitless < MOST_FRUITLESS:
            before = len(lines.measured)
            rest = [] if all_of_it and not lines.measured else self._rest(lines, path)
            argv = [agent, "bench", *self._arguments(seed), *rest]
            done = transport.run(argv, timeout=len(variants) * (self._cell_s + _COOL_S) + _GRACE_S, on_line=read)
            if lines.finished and done.returncode == 0:
                return
            fruitless = fruitless + 1 if len(lines.measured) == before else 0
        said = one_line(done.stderr) or "nothing"
        raise AgentError(
            f"device {self.device.name}: the agent ended with status {done.returncode} before its cells were "
            f"measured, it said: {said}; go on with --resume"
        )

    @property
    def _cell_s(self) -> int:
        return max(_CELL_S, _SAMPLE_S * self.effort.min_count)

    def _arguments(self, seed: int) -> list[str]:
        words = ["--threads", str(self.threads), "--seed", str(seed), "--timeout-ms", str(self._cell_s * 1000)]
        calm = self.witness.calm if self.effort.pinned else None
        words += self.effort.arguments() + self.cores.arguments()
        return words + ([] if calm is None else calm.arguments())

    def _rest(self, lines: BenchLines, path: Path) -> list[str]:
        """The option that names what is left to measure."""
        rest = [key for key in lines.wanted if key not in lines.measured and len(key) < _MOST_ID]
        names = path.with_suffix(".cells")
        names.write_text("".join(f"{key}\n" for key in rest))
        return ["--only-from", self.device.transport.push_file(names, names.name)]

    def _check_time(self) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OutOfTime
