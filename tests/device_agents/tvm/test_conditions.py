"""Conditions of a measurement on a Jetson: the GPU's clock and sensors, an overloaded supply, cpus to run on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device_agents.tvm.cpus import choose
from device_agents.tvm.faults import Fault
from device_agents.tvm.sensors import Sensors
from device_agents.tvm.watch import Gate, Watch, clock_khz
from tests.device_agents.sysfs import FakeSys

GPU = "class/devfreq/17000000.gpu"
OVER_CURRENT = "class/hwmon/hwmon1/oc1_event_cnt"


@pytest.fixture
def fake(tmp_path: Path) -> FakeSys:
    """A Jetson: its GPU at 624.75 MHz and 46 °C, the processor at 52 °C."""
    made = FakeSys(tmp_path)
    made.write(f"{GPU}/cur_freq", "624750000")
    made.write(f"{GPU}/governor", "nvhost_podgov")
    made.write("class/devfreq/15340000.vic/cur_freq", "115200000")
    made.zone(0, 52_000, {"passive": 99_000, "critical": 104_500})
    made.zone(1, 46_000, {"passive": 99_000, "critical": 104_500}, kind="gpu-thermal")
    made.zone(2, 100_000, {"critical": 0}, kind="pmic")
    return made


def sensors(fake: FakeSys) -> Sensors:
    """What the agent reads below the fake tree."""
    return Sensors(str(fake.root))


def test_a_gpu_has_a_clock_and_sensors_of_its_own(fake: FakeSys) -> None:
    watch = Watch(sensors(fake), 0, gpu=True)
    watch.warm()
    fake.write(f"{GPU}/cur_freq", "306000000")
    members = watch.members(uncooled=False)
    assert (members["khz_before"], members["khz_min"], members["khz_after"]) == (624_750, 306_000, 306_000)
    assert (members["milli_c_before"], members["milli_c_after"]) == (46_000, 46_000)
    assert (members["governor"], members["throttle"]) == ("nvhost_podgov", "none")
    assert isinstance(members["involuntary_switches"], int)


def test_the_processor_has_its_own(fake: FakeSys) -> None:
    members = Watch(sensors(fake), fake.cpus[0], gpu=False).members(uncooled=False)
    assert (members["khz_after"], members["milli_c_after"]) == (1_800_000, 52_000)
    assert members["governor"] == "ondemand"
    assert clock_khz(sensors(fake), None, gpu=False) is None


def test_what_slows_it_down_is_told(fake: FakeSys) -> None:
    fake.write(OVER_CURRENT, "3")
    watch = Watch(sensors(fake), 0, gpu=True)
    fake.write(OVER_CURRENT, "5")
    fake.write("class/thermal/thermal_zone1/temp", "99000")
    assert watch.members(uncooled=True)["throttle"] == "over_current+passive_trip+not_cooled"


def test_a_board_that_tells_nothing(tmp_path: Path) -> None:
    members = Watch(Sensors(str(tmp_path)), None, gpu=True).members(uncooled=False)
    assert [members[name] for name in ("khz_before", "khz_min", "khz_after", "governor", "throttle")] == [None] * 5


def test_a_warm_gpu_is_waited_for(fake: FakeSys) -> None:
    assert Gate(sensors(fake), 0, gpu=True).enter()
    fake.write("class/thermal/thermal_zone1/temp", "94500")
    gate = Gate(sensors(fake), 0, gpu=True)
    assert not gate.enter()
    fake.write("class/thermal/thermal_zone1/temp", "94000")
    assert gate.enter()


def test_cpus_of_the_fastest_cluster(fake: FakeSys) -> None:
    last = fake.cpus[-1]
    fake.write(f"devices/system/cpu/cpu{last}/cpu_capacity", "1024")
    for cpu in fake.cpus[:-1]:
        fake.write(f"devices/system/cpu/cpu{cpu}/cpu_capacity", "400")
    assert choose(sensors(fake), None, 1, loose=False).ids == (last,)
    chosen = choose(sensors(fake), None, 1, loose=True)
    assert (chosen.ids, chosen.pinned, chosen.first) == (tuple(fake.cpus), False, None)
    assert choose(sensors(fake), str(last), 1, loose=False).members() == {"pinned": True, "cpus": [last]}


@pytest.mark.parametrize(
    ("wanted", "threads", "complaint"),
    [
        ("4096", 1, "may not use cpu 4096"),
        ("a-b", 1, "is no list such as 0-3,6"),
        ("", 1, "is no list such as 0-3,6"),
        (None, 64, "may use"),
    ],
)
def test_cpus_that_cannot_be_had(fake: FakeSys, wanted: str | None, threads: int, complaint: str) -> None:
    threads = max(threads, len(os.sched_getaffinity(0)) + 1) if wanted is None else threads
    with pytest.raises(Fault) as refusal:
        choose(sensors(fake), wanted, threads, loose=False)
    assert complaint in str(refusal.value)


def test_a_cpu_is_named_once(fake: FakeSys) -> None:
    with pytest.raises(Fault, match="names a cpu twice"):
        choose(sensors(fake), f"{fake.cpus[0]},{fake.cpus[0]}", 1, loose=False)
