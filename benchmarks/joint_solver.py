"""`python -m benchmarks.joint_solver`: how long the joint choice of width and precision for every layer takes.

Random networks of 60 layers with 8 widths and 5 precisions each, from the narrowest budget to the widest; every answer
is proved to be the best. Smaller ones are given to a plain integer program as well, without bounds before it: the
losses must agree. Seconds are of processor time, on one thread, so that other work on the machine counts less.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.joint_networks import KINDS, network, tight
from hwaware.compression.joint.bounds import in_limits
from hwaware.compression.joint.build import Row, form_of, rows_of
from hwaware.compression.joint.minimise import loosened
from hwaware.compression.joint.problem import LATENCY, LOSS, Problem
from hwaware.compression.joint.program import Program
from hwaware.compression.joint.solve import solve

BAR_S = 10.0
SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)
METERS = ((LATENCY,), (LATENCY, "memory", "size"))
# Of the problems that plain integer programming is given as well.
PLAIN_LAYERS, PLAIN_WIDTHS, PLAIN_PRECISIONS = 12, 4, 3


@dataclass(frozen=True)
class Timing:
    """One problem: its network, the limits as shares of the way from the least to the most, and what solving took."""

    kind: str
    seed: int
    layers: int
    choices: int
    meters: tuple[str, ...]
    share: float
    seconds: float
    loss: float
    gap: float
    plain_seconds: float | None = None
    plain_loss: float | None = None

    def __str__(self) -> str:
        plain = (
            "" if self.plain_seconds is None else f"   plain {self.plain_seconds:7.2f} s, loss {self.plain_loss:.6f}"
        )
        limits = "+".join(self.meters)
        return (
            f"{self.kind:9s} {self.seed:2d} {self.layers:3d}×{self.choices:<3d} {limits:20s} {self.share:4.2f} "
            f"{self.seconds:7.2f} s  loss {self.loss:.6f}, gap {self.gap:.0e}{plain}"
        )


def timings(layers: int, widths: int, precisions: int, seeds: int, plain: bool) -> Iterator[Timing]:
    """Every kind of network at every budget."""
    for seed in range(seeds):
        for kind in KINDS:
            problem = network(kind, layers, widths, precisions, seed)
            for meters in METERS:
                for share in SHARES:
                    limits = tight(problem, meters, share)
                    begun = time.process_time()
                    found = solve(problem, limits)
                    seconds = time.process_time() - begun
                    beside = plain_solve(problem, limits) if plain else (None, None)
                    sizes = (layers, widths * precisions)
                    yield Timing(kind, seed, *sizes, meters, share, seconds, found.loss, found.gap, *beside)


def plain_solve(problem: Problem, limits: Mapping[str, float]) -> tuple[float, float]:
    """Seconds, and the least loss, of the integer program of the whole problem."""
    begun = time.process_time()
    rows = [Row(LOSS), *(row for meter in limits for row in rows_of(problem, meter))]
    form = form_of(problem, rows)
    assert form is not None
    highs = loosened(form, np.array([limits.get(row.meter, np.inf) for row in rows]))
    scaled, limited, _ = in_limits(form, highs)
    program = Program(scaled)
    # In this unit the solver's tolerances are below what losses are compared by.
    objective = program.rows[0] * 1e6 / float(form.most()[0] - form.least()[0])
    answer = program.minimised(
        objective,
        program.rows[limited],
        -scaled.constants[limited],
        lambda chosen: form.allows(chosen) and bool((form.totals(chosen) <= highs).all()),
    )
    assert answer is not None
    return time.process_time() - begun, float(form.totals(answer.chosen)[0])


def main() -> int:
    """Print a line for each problem; status 1 where one takes longer than the bar or a plain program's loss differs."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.joint_solver", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--layers", type=int, default=60)
    parser.add_argument("--widths", type=int, default=8, help="of each layer")
    parser.add_argument("--precisions", type=int, default=5, help="of each layer, at most 5")
    parser.add_argument("--seeds", type=int, default=2, help="networks of each kind")
    parser.add_argument("--plain", type=int, default=1, help="smaller networks of each kind, solved plainly as well")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines there too")
    args = parser.parse_args()
    lines, disagree = [], 0
    for timing in timings(args.layers, args.widths, args.precisions, args.seeds, plain=False):
        print(timing, flush=True)
        lines.append(timing)
    seconds = [timing.seconds for timing in lines]
    for timing in timings(PLAIN_LAYERS, PLAIN_WIDTHS, PLAIN_PRECISIONS, args.plain, plain=True):
        print(timing, flush=True)
        lines.append(timing)
        disagree += timing.plain_loss is not None and abs(timing.plain_loss - timing.loss) > 1e-6 * abs(timing.loss)
    if args.json:
        args.json.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    print(f"{len(seconds)} problems: median {np.median(seconds):.2f} s, worst {max(seconds):.2f} s, bar {BAR_S:.0f} s")
    if disagree:
        print(f"{disagree} losses differ from the plain program's")
    return 0 if max(seconds) <= BAR_S and not disagree else 1


if __name__ == "__main__":
    sys.exit(main())
