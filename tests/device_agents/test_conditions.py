"""What the agent says of the conditions, on trees like those of boards."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.device_agents.building import run_agent
from tests.device_agents.sysfs import FIRMWARE, FakeSys
from tests.requirements import need_cpus

QUICK = ("--min-time-ms", "1", "--min-count", "3", "--max-count", "10")


@pytest.fixture
def fake(tmp_path: Path) -> FakeSys:
    return FakeSys(tmp_path / "fake")


def cell(agent: Path, fake: FakeSys, *words: str) -> dict[str, Any]:
    (fake.root / "ids").write_text("scale")
    return run_agent(
        agent, "bench", "--only-from", fake.root / "ids", *QUICK, "--cool-ms", "0", "--sysfs", fake.root, *words
    ).one("cell")


def test_frequency_governor_and_temperature_come_from_the_kernel(agent: Path, fake: FakeSys) -> None:
    fake.zone(0, 45000, {"critical": 110000})
    fake.zone(1, 99000, {"passive": 80000}, kind="gpu-thermal")
    fake.zone(2, 47500, {"passive": 85000, "active": 40000})
    found = cell(agent, fake)
    assert [found[f"khz_{name}"] for name in ("before", "min", "after")] == [1800000] * 3
    assert (found["milli_c_before"], found["milli_c_after"]) == (47500, 47500)
    assert (found["governor"], found["throttle"]) == ("ondemand", "none")


def test_a_kernel_without_any_of_it_gives_nulls(agent: Path, tmp_path: Path) -> None:
    fake = FakeSys(tmp_path / "fake")
    for path in fake.path("devices/system/cpu").rglob("*"):
        if path.is_file():
            path.unlink()
    found = cell(agent, fake)
    names = ("khz_before", "khz_min", "khz_after", "milli_c_before", "milli_c_after", "governor", "throttle")
    assert {found[name] for name in names} == {None}


@pytest.mark.parametrize(
    ("bits", "flags"),
    [
        ("0", "none"),
        ("0x0", "none"),
        ("f0000", "none"),  # all of it since boot, none of it now
        ("50005", "under_voltage+throttled"),
        ("2", "frequency_capped"),
        ("8", "soft_temperature_limit"),
        ("nonsense", None),
    ],
)
def test_the_firmware_of_a_raspberry_pi(agent: Path, fake: FakeSys, bits: str, flags: str | None) -> None:
    fake.write(FIRMWARE, bits)
    assert cell(agent, fake)["throttle"] == flags


@pytest.mark.parametrize(
    ("trips", "flags"),
    [
        ({"passive": 70000, "critical": 100000}, "passive_trip+not_cooled"),
        ({"active": 30000, "critical": 100000}, "none"),
        ({"hot": 70000}, "hot_trip"),
        ({"passive": 72000}, "not_cooled"),
        ({"passive": 80000}, "none"),
        ({"passive": 0}, None),
    ],
)
def test_trip_points(agent: Path, fake: FakeSys, trips: dict[str, int], flags: str | None) -> None:
    fake.zone(0, 70000, trips)
    assert cell(agent, fake)["throttle"] == flags


def changed_during(agent: Path, fake: FakeSys, name: str, text: str) -> dict[str, Any]:
    """A run in whose middle a file changes."""

    def change() -> None:
        time.sleep(1.2)
        fake.write(name, text)

    thread = threading.Thread(target=change)
    thread.start()
    answer = run_agent(agent, "run", "--min-time-ms", "1500", "--thin", "--max-count", "100", "--sysfs", fake.root)
    thread.join()
    return answer.one("run")


def test_a_frequency_that_falls_meanwhile_is_seen(released: Path, fake: FakeSys) -> None:
    name = f"devices/system/cpu/cpu{fake.cpus[0]}/cpufreq/scaling_cur_freq"
    found = changed_during(released, fake, name, "1200000")
    assert (found["khz_before"], found["khz_min"], found["khz_after"]) == (1800000, 1200000, 1200000)


@pytest.mark.parametrize("place", ["core", "package"])
def test_a_throttle_count_that_rises_is_seen(released: Path, fake: FakeSys, place: str) -> None:
    name = f"devices/system/cpu/cpu{fake.cpus[0]}/thermal_throttle/{place}_throttle_count"
    fake.write(name, "7")
    assert cell(released, fake)["throttle"] == "none"
    assert changed_during(released, fake, name, "8")["throttle"] == f"{place}_throttled"


def test_a_sticky_bit_that_rises_is_seen(released: Path, fake: FakeSys) -> None:
    fake.write(FIRMWARE, "10000")
    assert changed_during(released, fake, FIRMWARE, "50000")["throttle"] == "throttled"


def test_the_gate_opens_when_it_is_cool(released: Path, fake: FakeSys) -> None:
    fake.zone(0, 78000, {"passive": 80000})
    timer = threading.Timer(0.7, fake.zone, (0, 60000, {"passive": 80000}))
    timer.start()
    before = time.monotonic()
    found = cell(released, fake, "--cool-ms", "20000")
    timer.join()
    assert time.monotonic() - before >= 0.6  # it waited for the timer
    assert (found["milli_c_before"], found["throttle"]) == (60000, "none")


def test_a_device_that_never_cools_down_is_measured_all_the_same(released: Path, fake: FakeSys) -> None:
    """The waits halve: all cells together wait for less than twice the first."""
    fake.zone(0, 90000, {"passive": 80000})
    names = ("scale", "parallel", "nested", "workspace", "raise", "exit")
    (fake.root / "ids").write_text("\n".join(names))
    words = ("--only-from", fake.root / "ids", *QUICK, "--cool-ms", "400", "--sysfs", fake.root)
    answer = run_agent(released, "bench", *words)
    assert {line["id"] for line in answer.lines[:-1]} == set(names)
    flags = {line["throttle"] for line in answer.lines[:-1] if line["status"] == "ok"}
    assert flags == {"passive_trip+not_cooled"}


def test_the_sentinel_is_timed_around_every_measurement(agent: Path, fake: FakeSys) -> None:
    found = cell(agent, fake)
    assert found["sentinel_before_ns"] > 1000
    assert found["sentinel_after_ns"] > 1000
    # Twice the same work: a compiler that saw through it would leave nothing to time.
    run = run_agent(agent, "run", "--min-time-ms", "1").one("run")
    assert run["sentinel_before_ns"] > 1000


def test_how_soon_threads_meet_is_timed_where_there_are_several(agent: Path, fake: FakeSys) -> None:
    assert (cell(agent, fake)["meeting_before_ns"], cell(agent, fake)["meeting_after_ns"]) == (None, None)
    need_cpus(2)
    found = cell(agent, fake, "--threads", "2")
    assert 0 < found["meeting_before_ns"] < found["sentinel_before_ns"]
    assert found["meeting_after_ns"] > 0


def test_threads_that_are_not_pinned(agent: Path, fake: FakeSys) -> None:
    found = cell(agent, fake, "--no-pin", "--threads", str(len(fake.cpus)))
    assert (found["pinned"], found["cpus"], found["threads"]) == (False, fake.cpus, len(fake.cpus))
    assert cell(agent, fake)["pinned"] is True


def test_no_pin_and_cpu_exclude_each_other(agent: Path) -> None:
    answer = run_agent(agent, "bench", "--no-pin", "--cpu", "0")
    assert (answer.status, answer.lines) == (2, [])
    assert "exclude each other" in answer.stderr


def test_thinned_samples_are_spread_over_the_whole_time(agent: Path) -> None:
    run = run_agent(agent, "run", "--min-time-ms", "60", "--min-count", "40", "--max-count", "40", "--thin").one("run")
    assert 20 <= len(run["samples_ns"]) <= 40
    assert run["stride"] > 1
    assert run["stride"] & (run["stride"] - 1) == 0
    # Halving needs two.
    assert run_agent(agent, "run", "--thin", "--max-count", "1").status == 2
