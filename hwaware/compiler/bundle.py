"""A profiling bundle: the agent with one kernel for each workload to be measured."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from hwaware.compiler.build import write_object
from hwaware.compiler.link import link_agent
from hwaware.compiler.schedules import generate
from hwaware.compiler.tables import cells_source
from hwaware.compiler.targets import Target
from hwaware.graph.workload import Workload

# Below this a second process costs more to start than it saves.
_WORTH_A_PROCESS = 48


def build_bundle(workloads: Sequence[Workload], target: Target, out: Path, *, jobs: int = 1) -> Path:
    """Write the executable `out`, whose ``bench`` measures each workload under its key.

    `jobs` processes generate code side by side. Raises BuildError.
    """
    unique = list({workload.key: workload for workload in workloads}.values())
    kernels = [generate(workload, target) for workload in unique]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".bundle-") as scratch:
        objects = _compile(unique, target, Path(scratch), jobs)
        link_agent(target, cells_source(kernels), objects, out)
    return out


def _compile(workloads: Sequence[Workload], target: Target, folder: Path, jobs: int) -> list[Path]:
    jobs = min(jobs, max(1, len(workloads) // _WORTH_A_PROCESS))
    parts = [workloads[index::jobs] for index in range(jobs)]
    paths = [folder / f"kernels{index}.o" for index in range(jobs)]
    if jobs == 1:
        compile_workloads(parts[0], target, paths[0])
        return paths
    # TVM starts threads: forked children would inherit locks they hold.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(compile_workloads, part, target, path) for part, path in zip(parts, paths, strict=True)]
        for task in tasks:
            task.result()
    return paths


def compile_workloads(workloads: Sequence[Workload], target: Target, path: Path) -> None:
    """Object code of `workloads` at `path`."""
    write_object([generate(workload, target) for workload in workloads], target, path)
