"""A profiling bundle: the agent with one kernel for each variant to be measured."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hwaware.compiler.build import write_object
from hwaware.compiler.choice import Variant
from hwaware.compiler.link import link_agent
from hwaware.compiler.schedules import generate
from hwaware.compiler.tables import cells_source
from hwaware.compiler.targets import Target
from hwaware.compiler.tvm_agent import write_tvm_bench
from hwaware.compiler.workers import in_processes

# Below this other processes cost more to start than they save; what one of them compiles at a time.
_WORTH_PROCESSES, _PART = 32, 4


def build_bundle(variants: Sequence[Variant], target: Target, out: Path, *, jobs: int = 1) -> Path:
    """Write the executable `out`, whose ``bench`` measures each variant under its id.

    `jobs` processes generate code side by side. Raises BuildError.
    """
    if target.tvm:
        return write_tvm_bench(variants, target, out)
    unique = list({variant.id: variant for variant in variants}.values())
    kernels = [generate(variant.workload, target, variant.choice) for variant in unique]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".bundle-") as scratch:
        objects = _compile(unique, target, Path(scratch), jobs)
        link_agent(target, cells_source(kernels), objects, out)
    return out


def _compile(variants: Sequence[Variant], target: Target, folder: Path, jobs: int) -> list[Path]:
    jobs = jobs if len(variants) >= _WORTH_PROCESSES else 1
    count = 1 if jobs == 1 else -(-len(variants) // _PART)
    parts = [(variants[index::count], folder / f"kernels{index}.o") for index in range(count)]
    # The processes stay for the next bundle; a script needs no guard around its main part for them.
    in_processes(jobs, compile_variants, ((part, target, path) for part, path in parts))
    return [path for _, path in parts]


def compile_variants(variants: Sequence[Variant], target: Target, path: Path) -> None:
    """Object code of `variants` at `path`."""
    write_object([generate(variant.workload, target, variant.choice) for variant in variants], target, path)
