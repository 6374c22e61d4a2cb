"""A profiling bundle: the agent with one kernel for each variant to be measured."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from hwaware.compiler.build import write_object
from hwaware.compiler.choice import Variant
from hwaware.compiler.link import link_agent
from hwaware.compiler.schedules import generate
from hwaware.compiler.tables import cells_source
from hwaware.compiler.targets import Target

# Below this a second process costs more to start than it saves.
_WORTH_A_PROCESS = 48


def build_bundle(variants: Sequence[Variant], target: Target, out: Path, *, jobs: int = 1) -> Path:
    """Write the executable `out`, whose ``bench`` measures each variant under its id.

    `jobs` processes generate code side by side. Raises BuildError.
    """
    unique = list({variant.id: variant for variant in variants}.values())
    kernels = [generate(variant.workload, target, variant.choice) for variant in unique]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".bundle-") as scratch:
        objects = _compile(unique, target, Path(scratch), jobs)
        link_agent(target, cells_source(kernels), objects, out)
    return out


def _compile(variants: Sequence[Variant], target: Target, folder: Path, jobs: int) -> list[Path]:
    jobs = min(jobs, max(1, len(variants) // _WORTH_A_PROCESS))
    parts = [variants[index::jobs] for index in range(jobs)]
    paths = [folder / f"kernels{index}.o" for index in range(jobs)]
    if jobs == 1:
        compile_variants(parts[0], target, paths[0])
        return paths
    # TVM starts threads: forked children would inherit locks they hold.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(compile_variants, part, target, path) for part, path in zip(parts, paths, strict=True)]
        for task in tasks:
            task.result()
    return paths


def compile_variants(variants: Sequence[Variant], target: Target, path: Path) -> None:
    """Object code of `variants` at `path`."""
    write_object([generate(variant.workload, target, variant.choice) for variant in variants], target, path)
