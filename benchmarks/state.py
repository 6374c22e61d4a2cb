"""`python -m benchmarks.state [MODEL…] --threads N`: timed in which state do operations add up to the model?

Each operation of a model is timed alone under several rules, and within the whole model; the sum of each is set against
the whole, measured in the same minutes. A rule is what is done between two calls: nothing (hot), reading as much other
memory as the model has (displaced), or four times the last cache (cold); within the graph nothing is done, the other
operations run.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.predict.draw import FAMILIES
from hwaware.compiler.choice import Variant
from hwaware.compiler.schedules import candidates
from hwaware.costs.choices import Choices
from hwaware.costs.row import CellRow
from hwaware.devices.device import Device, open_device
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.profiling.bench import Bench
from hwaware.profiling.settings import effort_for
from hwaware.profiling.target import device_facts, target_of
from hwaware.profiling.variants import Variants, prunable_groups
from hwaware.profiling.whole import WholeBench
from hwaware.reference import load_model

MODELS = tuple(FAMILIES.values())
_VARIANTS = 3


def sums(ref: str, device: Device, threads: int) -> list[dict[str, float | str]]:
    """For the model and a few narrower ones: the whole in ms, and the sum under each rule as a share of it."""
    model = load_model(ref)
    graph = capture(model.module, model.example_inputs)
    target = target_of(device)
    variants = Variants(graph, prunable_groups(graph), target.lanes)
    programs = {"whole": lower(graph)}
    for index in range(_VARIANTS):
        program = variants.program(f"free{index}")
        if program is not None:
            programs[f"free{index}"] = program
    works = {op.workload.key: op.workload for program in programs.values() for op in program.ops}
    displaced = effort_for(graph, target, "pinned")
    largest = max((cache.bytes for cache in device_facts(device).caches), default=target.l2)
    rules = {"hot": 0, "displaced": displaced.displace_kb, "cold": math.ceil(4 * largest / 1024)}
    times: dict[str, dict[str, float]] = {}
    with device.transport.lease(wait=60.0):
        runs = WholeBench(device, target, threads, "pinned", Choices()).measure(programs, seed=1)
        for rule, displace_kb in rules.items():
            bench = Bench(device, target, threads, replace(displaced, displace_kb=displace_kb))
            rows: dict[str, CellRow] = {}
            bench.measure(
                [Variant(work, candidates(work, target)[0]) for work in works.values()],
                lambda row, rows=rows: rows.update({row.key: row}),  # type: ignore[misc]
            )
            times[rule] = {key: row.p50_ns or math.nan for key, row in rows.items()}
    found: list[dict[str, float | str]] = []
    for run in runs:
        shares = {
            rule: sum(known[op.workload.key] for op in run.program.ops) / run.latency_ns
            for rule, known in times.items()
        }
        line: dict[str, float | str] = {"model": f"{ref} {run.name}", "whole_ms": run.latency_ns / 1e6, **shares}
        found.append(line | {"graph": run.sum_ns / run.latency_ns})
    return found


def table(lines: Sequence[dict[str, float | str]]) -> str:
    """The lines as text, and how far each rule is off on average."""
    rules = ("hot", "displaced", "cold", "graph")
    text = [f"{'sum of operations / whole':<34} {'ms':>8} " + " ".join(f"{rule:>10}" for rule in rules)]
    for line in lines:
        shares = " ".join(f"{float(line[rule]):10.3f}" for rule in rules)
        text.append(f"{line['model']:<34} {float(line['whole_ms']):8.3f} {shares}")
    off = (sum(abs(float(line[rule]) - 1) for line in lines) / len(lines) for rule in rules)
    return "\n".join([*text, f"{'mean absolute difference':<43} " + " ".join(f"{one:10.3f}" for one in off)])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.state", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines there too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    with open_device("local") as device:
        for ref in args.models:
            lines += sums(ref, device, args.threads)
            print(f"{ref} measured", file=sys.stderr)
    print(table(lines))
    if args.json:
        args.json.write_text(json.dumps(lines, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
