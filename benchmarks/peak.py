"""`python -m benchmarks.peak`: the machine's FMA peak on one thread, and what part of it two direct convolutions reach.

Kernels and the FMA loop run in turn in one process, so that the clock is the same for both; the figure is the ratio of
median rates. Winograd is left out: it computes fewer multiply-adds than are counted here.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ["TVM_NUM_THREADS"] = "1"  # before TVM is imported

import numpy as np
import torch
import tvm_ffi
from torch import nn

from benchmarks.machine import Machine, aligned, machine, median_seconds, timed
from hwaware.compiler.build import compile_module
from hwaware.compiler.choice import Choice
from hwaware.compiler.schedules import candidates, generate
from hwaware.compiler.targets import Target
from hwaware.devices.device import open_device
from hwaware.graph.capture import capture
from hwaware.graph.lower import FusedOp, lower
from hwaware.profiling.target import target_of
from hwaware.statistics import median_ratio

BAR = 0.8
REDUCED = "winograd"


@dataclass(frozen=True)
class Case:
    """A convolution of `size` × `size` images, padded to keep it, with a ReLU behind it."""

    inputs: int
    outputs: int
    kernel: int
    size: int

    def __str__(self) -> str:
        return f"{self.kernel}×{self.kernel} {self.inputs}→{self.outputs} {self.size}×{self.size}"

    @property
    def flop(self) -> int:
        """Floating-point operations on pixels of the image: the kernels skip the padding's."""
        reach = self.kernel // 2
        taps = sum(min(at + reach, self.size - 1) - max(at - reach, 0) + 1 for at in range(self.size))
        return 2 * self.inputs * self.outputs * taps**2

    def op(self) -> FusedOp:
        """The convolution as it is lowered."""
        layer = nn.Conv2d(self.inputs, self.outputs, self.kernel, padding=self.kernel // 2)
        module = nn.Sequential(layer, nn.ReLU()).eval()
        program = lower(capture(module, (torch.randn(1, self.inputs, self.size, self.size),)))
        (op,) = (op for op in program.ops if op.workload.kind == "conv2d")
        return op


CASES = (Case(128, 128, 3, 28), Case(384, 64, 1, 14))


def main() -> int:
    """Print one line a convolution; status 1 where one stays below the bar."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--lock", type=Path, help="hold this file's lock while measuring (shared machines)")
    args = parser.parse_args()
    with open_device("local") as device:
        target = target_of(device)
    limits = machine(target, threads=1)
    kernels = [(case, choice, run) for case in CASES for choice, run in runnable(case.op(), target)]
    reached: dict[Case, float] = {}
    with args.lock.open("a") if args.lock else nullcontext() as lock:
        if lock is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        print(f"{target.name}: FMA peak of one thread {limits.peak_gflops():.1f} GFLOP/s")
        for case, choice, run in kernels:
            value, low, high = fraction(run, case.flop, limits, args.rounds)
            reached[case] = max(reached.get(case, 0.0), value)
            print(f"{case!s:20} {choice!s:45} {value:6.1%} of the peak, {low:.1%} to {high:.1%}", flush=True)
    for case, value in reached.items():
        print(f"{case!s:20} best {value:.1%}, asked {BAR:.0%}: {'reached' if value >= BAR else 'MISSED'}")
    return 0 if min(reached.values()) >= BAR else 1


def runnable(op: FusedOp, target: Target) -> list[tuple[Choice, Callable[[], object]]]:
    """Each direct schedule of a convolution: its choice and a call of it."""
    work = op.workload
    made = [generate(work, target, choice) for choice in candidates(work, target) if choice.schedule != REDUCED]
    module = compile_module(made, target)
    random = np.random.default_rng()
    calls: list[tuple[Choice, Callable[[], object]]] = []
    for kernel in made:
        packed = iter(kernel.pack(op.constants))
        arguments = []
        for argument in kernel.arguments:
            place = aligned(argument.size)
            place[:] = next(packed) if argument.role == "weight" else random.standard_normal(argument.size)
            arguments.append(tvm_ffi.from_dlpack(place, require_alignment=64))
        calls.append((kernel.choice, partial(module[kernel.symbol], *arguments)))
    return calls


def fraction(run: Callable[[], object], flop: int, limits: Machine, rounds: int) -> tuple[float, float, float]:
    """Rate of `run` over the FMA loop's, with its 95 % interval: medians of samples in turn, after a fifth unmeasured.

    A sample of either is as long, so that whatever else the machine does meets both alike.
    """
    calls = max(1, round(median_seconds(limits.fma, 5) / median_seconds(run, 5)))

    def repeat() -> None:
        for _ in range(calls):
            run()

    kernel, peak = [], []
    for number in range(rounds + rounds // 5):
        times = timed(repeat), timed(limits.fma)
        if number >= rounds // 5:
            kernel.append(times[0] / (calls * flop))
            peak.append(times[1] / limits.fma_flop)
    ratio = median_ratio(kernel, peak)
    return ratio.value, ratio.low, ratio.high


if __name__ == "__main__":
    sys.exit(main())
