"""The thread pool: every task once, launches at once or after workers parked, nested ones, failures, and no races."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from device_agents import NATIVE
from tests.device_agents.building import RELEASED, SOURCES, WARNINGS
from tests.requirements import need

POOL = [NATIVE / name for name in ("pool.c", "cpus.c", "sysfs.c", "runtime.c", "error.c")]
THREAD_SANITIZED = ("-O1", "-g", "-fsanitize=thread")


@pytest.fixture(scope="module", params=[RELEASED, THREAD_SANITIZED], ids=["released", "thread-sanitized"])
def launches(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    executable = tmp_path_factory.mktemp("pool") / "launches"
    command = [need("cc", package="gcc"), "-std=gnu11", *WARNINGS, *request.param, "-I", str(NATIVE)]
    command += ["-o", str(executable), str(SOURCES / "launches.c"), *map(str, POOL), "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return executable


@pytest.mark.parametrize("threads", [1, 4], ids=["alone", "several"])
def test_every_launch_is_whole(launches: Path, threads: int) -> None:
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
    done = subprocess.run([str(launches), cpus, "2000"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
