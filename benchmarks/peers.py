"""Our compiled models beside ONNX Runtime: same machine, same threads, interleaved in one run (`make bench`).

Absolute times of a shared machine mean little; what counts is the ratio of medians. Each round measures ours, then the
peer; outputs are compared first. Results: a table on stdout and JSON in bench-results/.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwaware.compiler.artifact import Artifact, build_artifact
from hwaware.devices.device import Device, open_device
from hwaware.profiling.run import run_artifact
from hwaware.profiling.target import target_of
from hwaware.reference import LoadedModel, load_model
from hwaware.statistics import median_ratio

MODELS = ("zoo:mobilenet_v2", "zoo:resnet18", "zoo:resnet20", "zoo:resnet8", "zoo:lenet5")
TOLERANCE = 1e-4


def onnx_runner(model: LoadedModel, threads: int, folder: Path) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """ONNX Runtime at its best setting: all graph optimisations, its own pool of `threads`."""
    import onnxruntime

    path = folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor
        torch.onnx.export(model.module.eval(), model.example_inputs, str(path), dynamo=False, opset_version=17)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    return lambda inputs: list(session.run(None, dict(zip(names, inputs, strict=True))))


def sample_peer(run: Callable[[], Any], seconds: float, least: int) -> list[float]:
    """Milliseconds a call, after a warm-up of a fifth of the time."""
    end = time.perf_counter() + seconds / 5
    while time.perf_counter() < end:
        run()
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples) < least:
        start = time.perf_counter()
        run()
        samples.append((time.perf_counter() - start) * 1e3)
    return samples


def sample_ours(artifact: Artifact, device: Device, threads: int, seconds: float, least: int) -> list[float]:
    """Milliseconds a call, measured by the agent."""
    result = run_artifact(artifact, device, threads=threads, min_time_ms=int(seconds * 1000), min_count=least)
    return [ns / 1e6 for ns in result.samples_ns]


def compare_model(reference: str, threads: int, device: Device, rounds: int, seconds: float) -> dict[str, Any]:
    """One row: medians in ms, ratio peer/ours with its interval, largest relative difference of the outputs."""
    model = load_model(reference)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        artifact = build_artifact(
            model.module, model.example_inputs, target_of(device), folder / "artifact", name=model.name
        )
        peer = onnx_runner(model, threads, folder)
        inputs = [np.asarray(torch.randn_like(value)) for value in model.example_inputs]
        expected = peer(inputs)
        outputs = run_artifact(artifact, device, threads=threads, inputs=inputs, min_time_ms=10, min_count=1).outputs
        error = max(
            float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)) for a, b in zip(outputs, expected, strict=True)
        )
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            ours += sample_ours(artifact, device, threads, seconds, 10)
            theirs += sample_peer(lambda: peer(inputs), seconds, 10)
    ratio = median_ratio(ours, theirs)
    return {
        "model": model.name,
        "threads": threads,
        "ours_ms": float(np.median(ours)),
        "onnxruntime_ms": float(np.median(theirs)),
        "times_faster": ratio.value,
        "ci95": [ratio.low, ratio.high],
        "output_error": error,
        "agrees": error <= TOLERANCE,
    }


def main() -> int:
    """Run all rows; status 1 if an output disagrees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each side in each round")
    parser.add_argument("--out", type=Path, default=Path("bench-results/peers.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    print(f"{'model':16} {'thr':>3} {'ours ms':>9} {'ORT ms':>9} {'ORT/ours':>9}  95 % CI          output error")
    with open_device("local") as device:
        for reference in args.models:
            for threads in args.threads:
                row = compare_model(reference, threads, device, args.rounds, args.seconds)
                rows.append(row)
                low, high = row["ci95"]
                print(
                    f"{row['model']:16} {threads:3} {row['ours_ms']:9.3f} {row['onnxruntime_ms']:9.3f} "
                    f"{row['times_faster']:9.2f}  {low:.2f} to {high:.2f}     {row['output_error']:.1e}",
                    flush=True,
                )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    print(f"written: {args.out}", file=sys.stderr)
    return 0 if all(row["agrees"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
