"""Synthetic reports for the tests of this folder: drawn from a seeded generator, measured nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.parts import Memory, Predicted, op_latencies

DEVICE = {
    "name": "fixture-board",
    "fingerprint": "0f" * 32,
    "arch": "aarch64",
    "cpu_model": "Fixture Cortex",
    "features": ["neon", "fp16"],
    "cpus": 4,
    "memory_bytes": 4 * 2**30,
}
TOOLCHAIN = {"tvm": "0.27.0", "linker": "cc 12.2"}
CONDITIONS = {"power_mode": "15W", "governor": "performance", "load1": 0.12, "milli_c_before": 45000}
GROUPS = ("stem", "stage1", "stage1.inner", "stage2", "stage2.inner", "stage3", "stage3.inner")


def latencies(n: int, median: float, *, seed: int, rho: float = 0.5, noise: float = 0.02) -> NDArray[np.float64]:
    """Positive samples of a given median whose logarithms are AR(1) with correlation `rho`."""
    rng = np.random.default_rng(seed)
    burn_in = 200
    shocks = rng.normal(size=n + burn_in) * np.sqrt(1 - rho**2)
    walk = np.asarray(lfilter([1.0], [1.0, -rho], shocks))[burn_in:]
    return np.asarray(median * np.exp(noise * walk))


def report(
    model: str = "resnet8",
    *,
    median_ms: float = 2.0,
    seed: int = 1,
    n: int = 400,
    keep: float = 1.0,
    **changes: Any,
) -> LatencyReport:
    """A report of a small residual net with the share `keep` of its channels; `changes` replace fields."""
    samples = latencies(n, median_ms * 1e6, seed=seed) * (1 + np.random.default_rng(seed).exponential(0.02, size=n))
    names = ["stem.conv"] + [f"stage{i}.block.conv{j}" for i in (1, 2, 3) for j in (1, 2)] + ["pool", "head.fc"]
    cost = np.array([0.08, 0.2, 0.2, 0.15, 0.15, 0.1, 0.09, 0.01, 0.02]) * median_ms * 1e6
    ops = op_latencies(
        (name, f"conv2d[{name}]", latencies(60, each, seed=seed + i).tolist())
        for i, (name, each) in enumerate(zip(names, cost, strict=True))
    )
    weights = int(310_000 * keep**2)
    made = LatencyReport.from_samples(
        [float(sample) for sample in samples],
        model=model,
        device=DEVICE,
        toolchain=TOOLCHAIN,
        conditions=CONDITIONS,
        protocol="pinned",
        threads=1,
        memory_bytes=Memory(weights, int(96_000 * keep), 3_400_000),
        cold_ns=median_ms * 3.2e6,
        ops=ops,
        warnings=(),
        accuracy=0.987 if keep == 1 else 0.984,
        predicted=Predicted(median_ms * 0.97, (median_ms * 0.9, median_ms * 1.06), "table-fixture"),
        widths={name: int(16 * 2 ** (i // 2) * keep) for i, name in enumerate(GROUPS)},
    )
    return replace(made, created="2024-06-11T10:00:00+00:00", **changes)


def before_and_after() -> tuple[LatencyReport, LatencyReport]:
    """A baseline and a compressed model about 1.8 times as fast."""
    return report(), report("resnet8 compressed", median_ms=1.1, seed=50, keep=0.6)
