"""One series: a table, variants it has never seen, what it says of them, and what the clock says."""

from __future__ import annotations

import fcntl
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.predict.checks import record, taught
from benchmarks.predict.draw import Draws, Source, Widths, draw, reference, source
from benchmarks.predict.measure import Effort, compared, measure
from benchmarks.predict.outcome import Measured, Outcome, Predicted, Series, TableUse, label, series_of
from benchmarks.predict.prepare import Answer, Job, prepare
from benchmarks.predict.repeat import Repeat, repeat
from benchmarks.predict.tables import Say, ready
from hwaware.compiler.artifact import Artifact, load_artifact
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device
from hwaware.profiling.calm import Calm
from hwaware.reference import LoadedModel

COMPARED = 3  # variants whose outputs are compared with PyTorch's
_SAYS_EVERY_S = 20.0


@dataclass(frozen=True)
class Plan:
    """What is asked of every series; `lock` is held whenever something is timed."""

    out: Path
    tables: Path
    variants: int
    budget_s: float
    seed: int
    effort: Effort
    resume: bool
    lock: Path | None

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """While the lock is held nothing else that honours it runs on this machine."""
        if self.lock is None:
            yield
            return
        with self.lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def run_series(plan: Plan, device: Device, family: str, threads: int, say: Say) -> Series:
    """Profile, draw, predict, compile, measure; the result is in `plan.out` when this returns.

    Where the same variants were measured before by the same table's schedules, only the predictions are made again.
    Raises TableError, ModelError, BuildError, DeviceError.
    """
    origin, name = source(reference(family)), label(family, threads)
    table = _table(plan, device, origin, threads, plan.tables / name, plan.out / f"{name}.profile.json", say)
    draws = draw(origin, plan.variants, plan.seed, taught(Path(table.path)))
    say(f"drawn {len(draws.widths)} variants, {draws.redrawn} draws were no use{draws.why and f': {draws.why}'}")
    asked: list[Widths | None] = [None, *draws.widths]
    before = _before(plan, name, draws, table)
    jobs = [Job(reference(family), widths, Path(table.path)) for widths in asked]
    if before is not None:
        answers = prepare(jobs, _teller(say, "predicted"))
        clock = [outcome.measured for outcome in (before.whole, *before.outcomes[: plan.variants])]
    else:
        answers, clock = _compiled_and_measured(plan, device, origin, threads, jobs, say)
    whole, *outcomes = (
        Outcome(widths, *answer, measured) for widths, answer, measured in zip(asked, answers, clock, strict=True)
    )
    first = before is None or (before.predicted_first and _same_answers(before, outcomes))
    series = Series(family, threads, plan.seed, draws.redrawn, table, whole, tuple(outcomes), first)
    (plan.out / f"{name}.json").write_text(json.dumps(series.document(), indent=1) + "\n")
    if before is None:
        record(series, origin.model.name)
    return series


def _table(plan: Plan, device: Device, origin: Source, threads: int, folder: Path, times: Path, say: Say) -> TableUse:
    with plan.quiet():
        return ready(origin.model, device, threads, folder, plan.budget_s, times, say)


def _before(plan: Plan, name: str, draws: Draws, table: TableUse) -> Series | None:
    """An earlier run's series, if it measured these variants by this table."""
    file = plan.out / f"{name}.json"
    if not plan.resume or not file.exists():
        return None
    found = series_of(json.loads(file.read_text()))
    same = [outcome.widths for outcome in found.outcomes[: plan.variants]] == list(draws.widths)
    return found if same and found.table.cells_sha256 == table.cells_sha256 else None


def _same_answers(before: Series, outcomes: Sequence[Outcome]) -> bool:
    """Whether nothing about predicting has changed since."""
    return all(old.predicted == new.predicted for old, new in zip(before.outcomes, outcomes, strict=False))


def _compiled_and_measured(
    plan: Plan, device: Device, origin: Source, threads: int, jobs: Sequence[Job], say: Say
) -> tuple[list[Answer], list[Measured]]:
    with tempfile.TemporaryDirectory(dir=plan.out) as scratch:
        places = [Path(scratch) / f"variant{number}" for number in range(len(jobs))]
        compiling = [replace(job, out=place) for job, place in zip(jobs, places, strict=True)]
        answers = prepare(compiling, _teller(say, "predicted and compiled"))
        artifacts = [load_artifact(place) for place in places]
        with plan.quiet():
            calm = Calm.of(CostTable.load(jobs[0].table).manifest.conditions)
            clock = measure(artifacts, device, threads, plan.effort, plan.seed, calm, say)
        for index in range(min(COMPARED, len(jobs))):
            model = _variant(origin, jobs[index].widths)
            clock[index] = compared(clock[index], artifacts[index], model, device, threads)
        _forget(device, artifacts)
    return answers, clock


def _variant(origin: Source, widths: Widths | None) -> LoadedModel:
    return LoadedModel(origin.variant(widths), origin.model.example_inputs, origin.model.name)


def _forget(device: Device, artifacts: Sequence[Artifact]) -> None:
    """Take the uploads off the device again: they are many, large and used once."""
    for artifact in artifacts:
        remote = device.transport.push(artifact.agent)
        device.transport.run(["rm", "-rf", remote.rpartition("/")[0]], timeout=60)


def run_repeat(plan: Plan, device: Device, series: Series, say: Say) -> Repeat:
    """Profile the series' model afresh into a second table and compare the two."""
    ref = reference(series.family)
    folder = Path(f"{series.table.path}-again")
    times = plan.out / f"{series.label}-again.profile.json"
    second = _table(plan, device, source(ref), series.threads, folder, times, say)
    jobs = [Job(ref, outcome.widths, Path(second.path)) for outcome in series.outcomes]
    again = prepare(jobs, _teller(say, "predicted by the second table"))
    both: list[tuple[Predicted | None, Predicted | None]] = [
        (outcome.predicted, answer) for outcome, (answer, _) in zip(series.outcomes, again, strict=True)
    ]
    return repeat(CostTable.load(series.table.path).rows, CostTable.load(folder).rows, both)


def _teller(say: Say, what: str) -> Callable[[int, int], None]:
    """Says how many jobs are done, now and then."""
    said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if done == total or time.monotonic() - said > _SAYS_EVERY_S:
            said = time.monotonic()
            say(f"{what}, {done} of {total}")

    return tell
