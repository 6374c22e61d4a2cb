"""Every family of models on ARM boards behind a real SSH server and phones behind a real adb agrees with PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hwaware.compiler.artifact import build_artifact
from hwaware.devices.device import Device, open_device
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.profiling.run import run_artifact
from hwaware.profiling.target import device_facts, target_of
from tests.adb.phone import Phone
from tests.arm_board import MACHINES
from tests.compiler.families import FAMILIES, case
from tests.compiler.inprocess import expected, relative_error
from tests.sshd import Sshd

pytestmark = pytest.mark.timeout(600)  # the first use of a target builds its C library
TOLERANCE = 1e-4
TRIPLES = {"aarch64": "aarch64", "armv7l": "arm"}
WAYS = ("ssh", "adb")


@pytest.fixture(scope="module")
def devices(boards: dict[str, Sshd], arm_phones: dict[str, Phone]) -> Iterator[dict[tuple[str, str], Device]]:
    """The boards and the phones, connected, by way and machine."""
    for machine, phone in arm_phones.items():
        Inventory().add(DeviceEntry(f"{machine}-phone", f"adb:{phone.serial}"))
    with ExitStack() as stack:
        names = {("ssh", machine): machine for machine in boards}
        names |= {("adb", machine): f"{machine}-phone" for machine in arm_phones}
        yield {key: stack.enter_context(open_device(name)) for key, name in names.items()}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("way", WAYS)
def test_it_is_known_for_what_it_is(way: str, machine: str, devices: dict[tuple[str, str], Device]) -> None:
    device = devices[way, machine]
    assert device.machine() == machine
    facts = device_facts(device)
    assert facts.arch == machine
    assert facts.emulated
    assert target_of(device).triple.startswith(TRIPLES[machine])


# 32-bit ARM has the same schedules by another code generator: a family of each kind of operation.
ON_32_BIT = ("inverted", "fires", "unet", "one_dimensional", "encoder")
CASES = [("aarch64", name) for name in FAMILIES] + [("armv7l", name) for name in ON_32_BIT]


@pytest.mark.parametrize(("machine", "name"), CASES)
def test_it_computes_what_pytorch_does(
    machine: str,
    name: str,
    devices: dict[tuple[str, str], Device],
    arm_phones: dict[str, Phone],
    tmp_path: Path,
) -> None:
    """Over SSH and over adb in turn."""
    way = WAYS[(list(FAMILIES).index(name) + MACHINES.index(machine)) % len(WAYS)]
    made = case(name, 1)
    target = target_of(devices["ssh", machine])
    assert target == target_of(devices["adb", machine])
    artifact = build_artifact(made.module, made.inputs, target, tmp_path / "artifact", name=name)
    inputs = [value.numpy() for value in made.inputs]
    result = run_artifact(artifact, devices[way, machine], threads=2, inputs=inputs, min_time_ms=1, min_count=1)
    if way == "adb":
        assert result.state["power_mode"] == "fixed-performance"
        assert arm_phones[machine].commands.switches[-1] == "false"
    for found, wanted in zip(result.outputs, expected(made), strict=True):
        assert relative_error(found, wanted) < TOLERANCE
