"""What this machine can do at most: fused multiply-adds a second and bytes read a second.

Both loops are written with the kernels' own words and compiled by the same code generator, so nothing but their work
differs from a kernel's. The FMA loop touches registers only; tests/benchmarks/test_machine.py reads its object code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
import tvm_ffi

from hwaware.compiler.targets import Target
from hwaware.compiler.tir import Expr, Stmt, buffer, function, integer, load, local, loop, seq, store, with_local

# Independent sums: at least latency times units of the cores we know (2 × 5 on Skylake), and within 16 registers.
CHAINS = 12
FMA_STEPS = 1 << 19  # some milliseconds: the call itself is lost in them
STREAM_BYTES = 1 << 28  # beyond every cache
FMA, STREAM = "fma_peak", "read_stream"


@dataclass(frozen=True)
class Machine:
    """The two loops, compiled for `threads` threads; TVM_NUM_THREADS must be at least that."""

    target: Target
    threads: int
    fma: Callable[[], object]  # one run is `fma_flop` operations
    stream: Callable[[], object]  # one run reads STREAM_BYTES

    @property
    def fma_flop(self) -> int:
        """Floating-point operations of one run: a multiply-add is two."""
        return 2 * self.threads * FMA_STEPS * CHAINS * self.target.lanes

    def peak_gflops(self, runs: int = 20) -> float:
        """Median GFLOP/s of the FMA loop."""
        return self.fma_flop / median_seconds(self.fma, runs) / 1e9

    def bandwidth_gbs(self, runs: int = 5) -> float:
        """Median GB/s (10⁹ bytes) of the reading loop."""
        return STREAM_BYTES / median_seconds(self.stream, runs) / 1e9


def machine(target: Target, threads: int) -> Machine:
    """Compile both loops for `target`, which is this machine's."""
    module = compile_loops(target, threads)
    factors = _tensor(np.concatenate([np.full(target.lanes, 0.999), np.full(target.lanes, 1e-3)]))
    sums = _tensor(np.zeros(threads * CHAINS * target.lanes))
    data = _tensor(np.ones(STREAM_BYTES // 4))
    return Machine(target, threads, lambda: module[FMA](factors, sums), lambda: module[STREAM](data, sums))


def compile_loops(target: Target, threads: int) -> Any:
    """TVM's compiled module of both loops."""
    functions = {FMA: fma_function(target, threads), STREAM: stream_function(target, threads)}
    with tvm.ir.transform.PassContext(opt_level=3, config={"tirx.disable_storage_rewrite": True}):
        return tvm.compile(tvm.IRModule(functions), target=tvm.target.Target(target.llvm()))


def fma_function(target: Target, threads: int) -> Any:
    """`threads` tasks of FMA_STEPS × CHAINS vector operations sum = sum·a + b; x: a and b, y: the sums."""
    lanes = target.lanes
    x, y = buffer("x", 2 * lanes), buffer("y", threads * CHAINS * lanes)

    def task(index: Expr) -> Stmt:
        a, b = local("a", lanes), local("b", lanes)
        sums = [local(f"sum{chain}", lanes) for chain in range(CHAINS)]
        begin = [_set(a, load(x, integer(0), lanes), lanes), _set(b, load(x, integer(lanes), lanes), lanes)]
        # They start from what y holds: equal sums might be merged.
        begin += [_set(s, load(y, (index * CHAINS + i) * lanes, lanes), lanes) for i, s in enumerate(sums)]

        def step(_: Expr) -> Stmt:
            return seq([_set(s, _get(s, lanes) * _get(a, lanes) + _get(b, lanes), lanes) for s in sums])

        end = [store(y, (index * CHAINS + i) * lanes, _get(s, lanes), lanes) for i, s in enumerate(sums)]
        return with_local([a, b, *sums], seq([*begin, loop("i", FMA_STEPS, step), *end]))

    return function(FMA, [x, y], loop("task", threads, task, "parallel"))


def stream_function(target: Target, threads: int) -> Any:
    """Each task adds up its share of x, CHAINS vectors a step; y: the sums."""
    lanes = target.lanes
    x, y = buffer("x", STREAM_BYTES // 4), buffer("y", threads * CHAINS * lanes)
    steps = STREAM_BYTES // 4 // (threads * CHAINS * lanes)

    def task(index: Expr) -> Stmt:
        sums = [local(f"sum{chain}", lanes) for chain in range(CHAINS)]
        begin = [_set(s, load(y, (index * CHAINS + i) * lanes, lanes), lanes) for i, s in enumerate(sums)]

        def step(number: Expr) -> Stmt:
            start = (index * steps + number) * (CHAINS * lanes)
            return seq([_set(s, _get(s, lanes) + load(x, start + i * lanes, lanes), lanes) for i, s in enumerate(sums)])

        end = [store(y, (index * CHAINS + i) * lanes, _get(s, lanes), lanes) for i, s in enumerate(sums)]
        return with_local(sums, seq([*begin, loop("i", steps, step), *end]))

    return function(STREAM, [x, y], loop("task", threads, task, "parallel"))


def median_seconds(run: Callable[[], object], runs: int) -> float:
    """Median seconds of `runs` runs after one that is not counted."""
    run()
    return float(np.median([timed(run) for _ in range(runs)]))


def timed(run: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def aligned(size: int) -> np.ndarray:
    """`size` uninitialised floats at the start of a cache line."""
    raw = np.empty(size + 16, np.float32)
    start = -raw.ctypes.data % 64 // 4
    return raw[start : start + size]


def _tensor(values: np.ndarray) -> Any:
    place = aligned(values.size)
    place[:] = values
    return tvm_ffi.from_dlpack(place, require_alignment=64)


def _get(place: Any, lanes: int) -> Expr:
    return load(place, integer(0), lanes)


def _set(place: Any, value: Expr, lanes: int) -> Stmt:
    return store(place, integer(0), value, lanes)
