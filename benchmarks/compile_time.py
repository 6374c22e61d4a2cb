"""`python -m benchmarks.compile_time`: from an nn.Module to a runnable artifact, schedules already chosen.

The imports (PyTorch aside) and each of several builds are timed; the figure is imports plus the median build. The
search before it is not counted: its result is what a cost table holds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

BAR_S = 15.0


def main() -> int:
    """Print the times; status 1 above the bar."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compile_time", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("model", nargs="?", default="zoo:mobilenet_v2")
    parser.add_argument("--builds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    from hwaware.compiler.artifact import build_artifact
    from hwaware.devices.device import open_device
    from hwaware.profiling.run import run_artifact
    from hwaware.profiling.schedules import search_choices
    from hwaware.profiling.target import target_of

    imports = time.perf_counter() - start
    from hwaware.reference import load_model

    model = load_model(args.model)
    with open_device("local") as device, tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        choices = search_choices(model.module, model.example_inputs, device)
        print(f"search of {len(choices)} schedules: {time.perf_counter() - start:.1f} s", flush=True)
        builds, busy = [], []
        for number in range(args.builds):
            out = Path(scratch) / str(number)
            start, used = time.perf_counter(), sum(os.times()[:4])
            artifact = build_artifact(
                model.module, model.example_inputs, target_of(device), out, name=model.name, chooser=choices
            )
            builds.append(time.perf_counter() - start)
            busy.append(sum(os.times()[:4]) - used)
        run_artifact(artifact, device, min_time_ms=1, min_count=1)
    total = imports + float(np.median(builds))
    print(f"imports {imports:.1f} s")
    for wall, processor in zip(builds, busy, strict=True):
        print(f"build {wall:.1f} s, {processor:.1f} s of processor time")
    print(f"{model.name}: module to artifact {total:.1f} s, asked at most {BAR_S:.0f}")
    return 0 if total <= BAR_S else 1


if __name__ == "__main__":
    sys.exit(main())
