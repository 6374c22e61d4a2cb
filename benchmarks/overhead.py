"""`python -m benchmarks.overhead`: what a profile over SSH takes beyond the same profile without it.

200 small cells are measured on this machine, directly and through a real SSH server on the loopback, in turn. Building
is part of it: a profile's user waits for that as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwaware.compiler.choice import Variant
from hwaware.compiler.schedules import variant
from hwaware.compiler.targets import Target
from hwaware.costs.row import CellRow
from hwaware.devices.device import Device, open_device
from hwaware.devices.host_keys import store_host_key
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.devices.ssh_connect import fetch_host_key
from hwaware.devices.ssh_hop import SshHop
from hwaware.devices.ssh_limits import Timeouts
from hwaware.graph.ir import Spec
from hwaware.graph.workload import Workload
from hwaware.profiling.bench import Bench, Effort
from hwaware.profiling.target import target_of
from tests.sshd import start_sshd

CELLS = 200
MOST = 1.2


def small_cells(target: Target) -> list[Variant]:
    """Dense layers of 16 inputs and 8 to 207 outputs."""
    return [
        variant(Workload("dense", (Spec((1, 16), "float32"),), Spec((1, 8 + index), "float32")), target)
        for index in range(CELLS)
    ]


def profile_s(device: Device, target: Target) -> float:
    """Seconds to measure all cells on `device`."""
    rows: list[CellRow] = []
    begun = time.monotonic()
    with device.transport.lease(wait=60.0):
        Bench(device, target, 1, Effort(64), retries=0).measure(small_cells(target), rows.append)
    if len(rows) != CELLS or any(row.p50_ns is None for row in rows):
        raise RuntimeError("not every cell was measured")
    return time.monotonic() - begun


@contextmanager
def _loopback(folder: Path) -> Iterator[str]:
    """This machine behind an SSH server of its own, as a device."""
    server = start_sshd(folder / "server")
    try:
        inventory = Inventory()
        hop = SshHop(server.user, "127.0.0.1", server.port)
        store_host_key(inventory.known_hosts, hop.key_name, fetch_host_key("loopback", hop, Timeouts()))
        inventory.add(DeviceEntry("loopback", server.url, str(server.key_file)))
        yield "loopback"
    finally:
        server.stop()


def main() -> int:
    """Print the seconds of each round and the ratio of medians; 1 if it is above the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {"local": [], "ssh": []}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HWAWARE_DEVICES"] = str(Path(scratch) / "devices.toml")
        os.environ["HWAWARE_SSH_CONFIG"] = os.devnull
        with (
            _loopback(Path(scratch)) as name,
            open_device("local") as local,
            open_device(name) as board,
        ):
            devices = {"local": local, "ssh": board}
            target = target_of(local)
            for number in range(args.rounds):
                for kind in sorted(devices, reverse=number % 2 == 1):
                    seconds[kind].append(profile_s(devices[kind], target))
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    ratio = medians["ssh"] / medians["local"]
    print(json.dumps({"cells": CELLS, "seconds": seconds, "median_s": medians, "ratio": ratio, "most": MOST}, indent=2))
    return 0 if ratio <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
