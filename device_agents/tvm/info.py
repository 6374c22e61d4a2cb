"""``info``: the GPU, the Jetson's power mode, and what there is to run kernels with. The rest the C agent tells."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict

from device_agents.tvm import PROTOCOL, runtime
from device_agents.tvm.driver import find_gpu
from device_agents.tvm.jetson import power_mode


def info() -> dict[str, object]:
    """The line. `gpu` is null without one, and `gpu_reason` says why."""
    gpu, reason = find_gpu()
    return {
        "type": "info",
        "protocol": PROTOCOL,
        "arch": platform.machine(),
        "kernel": platform.release(),
        "load1": round(os.getloadavg()[0], 2),
        "gpu": None if gpu is None else asdict(gpu),
        "gpu_reason": reason,
        "power_mode": power_mode(),
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "packages": runtime.versions(),
    }
