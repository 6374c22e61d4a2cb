"""`python -m benchmarks.profile MODEL --threads N`: where a compiled model's time goes, op by op.

Each op is timed within the whole. GFLOP/s count the direct algorithm's multiply-adds, padding included, so that
Winograd and small padded images may pass 100 % of the peak; GB/s count the activations and weights an op has to move
once, which from a cache may pass 100 % of the memory's bandwidth.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hwaware.graph.arithmetic import activation_bytes, multiply_adds
from hwaware.graph.lower import FusedOp, Program
from hwaware.profiling.run import OpSamples


@dataclass(frozen=True)
class OpLine:
    """One op: median milliseconds, floating-point operations, bytes it moves at least."""

    name: str
    key: str
    ms: float
    flop: int
    bytes: int

    @property
    def gflops(self) -> float:
        """10⁹ floating-point operations a second."""
        return self.flop / self.ms / 1e6

    @property
    def gbs(self) -> float:
        """10⁹ bytes a second."""
        return self.bytes / self.ms / 1e6


def op_lines(program: Program, samples: tuple[OpSamples, ...]) -> list[OpLine]:
    """The ops that ran, slowest first; `samples` are in the program's order."""
    lines = [
        OpLine(op.name, op.workload.key, float(np.median(timed.samples_ns)) / 1e6, *_work(op))
        for op, timed in zip(program.ops, samples, strict=True)
    ]
    return sorted(lines, key=lambda line: -line.ms)


def _work(op: FusedOp) -> tuple[int, int]:
    weights = sum(array.nbytes for array in op.constants.values())
    return 2 * multiply_adds(op.workload), activation_bytes(op.workload) + weights


def table(lines: list[OpLine], peak: float, bandwidth: float) -> str:
    """The lines as text; `peak` in GFLOP/s, `bandwidth` in GB/s."""
    total = sum(line.ms for line in lines)
    text = [f"{'ms':>9} {'% time':>6} {'GFLOP/s':>8} {'% peak':>6} {'GB/s':>7} {'% bandwidth':>11}  op, workload"]
    for line in lines:
        shares = f"{line.gflops:8.1f} {line.gflops / peak:6.0%} {line.gbs:7.1f} {line.gbs / bandwidth:11.0%}"
        text.append(f"{line.ms:9.4f} {line.ms / total:6.1%} {shares}  {line.name}  {line.key}")
    flop = sum(line.flop for line in lines)
    text.append(f"{total:9.4f} {'sum':>6} {flop / total / 1e6:8.1f} {flop / total / 1e6 / peak:6.0%}")
    return "\n".join(text)


def main() -> int:
    """Build, run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", metavar="MODEL", help="as `hwaware compile` takes it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines there too")
    parser.add_argument("--lock", type=Path, help="hold this file's lock while measuring (shared machines)")
    args = parser.parse_args()
    os.environ["TVM_NUM_THREADS"] = str(args.threads)  # before TVM is imported
    import torch

    from benchmarks.machine import machine
    from benchmarks.ours import build
    from hwaware.devices.device import open_device
    from hwaware.graph.capture import capture
    from hwaware.graph.lower import lower
    from hwaware.profiling.run import run_artifact
    from hwaware.profiling.target import target_of
    from hwaware.reference import load_model

    torch.set_num_threads(1)
    model = load_model(args.model)
    with open_device("local") as device, tempfile.TemporaryDirectory() as scratch:
        ours = build(model, device, args.threads, Path(scratch) / "artifact")
        limits = machine(target_of(device), args.threads)
        with args.lock.open("a") if args.lock else nullcontext() as lock:
            if lock is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            peak, bandwidth = limits.peak_gflops(), limits.bandwidth_gbs()
            result = run_artifact(ours.artifact, device, threads=args.threads, per_op=True)
    lines = op_lines(lower(capture(model.module, model.example_inputs)), result.ops)
    whole = float(np.median(result.samples_ns)) / 1e6
    print(
        f"{model.name}, threads {args.threads}: {whole:.4f} ms; FMA peak {peak:.1f} GFLOP/s, reads {bandwidth:.1f} GB/s"
    )
    print(table(lines, peak, bandwidth))
    if args.json is not None:
        ops = [asdict(line) for line in lines]
        document = {"model": model.name, "threads": args.threads, "ms": whole, "peak_gflops": peak}
        args.json.write_text(json.dumps({**document, "bandwidth_gbs": bandwidth, "ops": ops}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
