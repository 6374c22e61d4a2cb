"""The frequency lock: set while measuring, and given back however the agent ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.device_agents.building import agent_environment, run_agent
from tests.device_agents.sysfs import FakeSys
from tests.requirements import need_path

QUICK = ("--min-time-ms", "1", "--min-count", "3", "--max-count", "10", "--timeout-ms", "60000", "--cool-ms", "0")


@pytest.fixture
def fake(tmp_path: Path) -> FakeSys:
    return FakeSys(tmp_path / "fake")


def arguments(fake: FakeSys, *names: str) -> list[str]:
    ids = fake.root.with_name("ids")
    ids.write_text("\n".join(names))
    return ["bench", "--only-from", str(ids), *QUICK, "--lock-frequency", "--sysfs", str(fake.root)]


def start(agent: Path, fake: FakeSys, *names: str) -> subprocess.Popen[bytes]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            [str(agent), *arguments(fake, *names)],
            stdout=subprocess.PIPE,
            env=agent_environment(),
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGHUP, before)


def wait_for(condition: str, fake: FakeSys, before: dict[str, bytes] | None = None) -> None:
    deadline = time.monotonic() + 20
    while not (fake.is_locked() if before is None else fake.snapshot() == before):
        assert time.monotonic() < deadline, condition
        time.sleep(0.005)


def test_the_clock_is_fixed_while_measuring_and_then_as_before(agent: Path, fake: FakeSys) -> None:
    before = fake.snapshot()
    answer = run_agent(agent, *arguments(fake, "scale"))
    cell = answer.one("cell")
    assert (answer.status, answer.stderr) == (0, "")
    assert (cell["frequency_locked"], cell["locked_khz"], cell["lock_reason"]) == (True, 1800000, None)
    assert cell["governor"] == "performance"
    assert fake.snapshot() == before


def test_every_cpu_of_the_cluster_is_fixed(agent: Path, fake: FakeSys) -> None:
    process = start(agent, fake, "forever")
    before_lock = fake.snapshot()
    wait_for("the agent locks nothing", fake)
    deadline = time.monotonic() + 10
    wanted = {("performance\n", "1800000\n", "1800000\n")}
    while True:
        found = {
            tuple(fake.cpufreq(cpu, f"scaling_{leaf}").read_text() for leaf in ("governor", "min_freq", "max_freq"))
            for cpu in fake.cpus
        }
        if found == wanted:
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    assert before_lock.keys() == fake.snapshot().keys()
    process.kill()
    process.communicate(timeout=10)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGSEGV, signal.SIGQUIT]
)
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_signal_gives_it_back(released: Path, fake: FakeSys, number: signal.Signals, whole_group: bool) -> None:
    before = fake.snapshot()
    process = start(released, fake, "forever")
    wait_for("the agent locks nothing", fake)
    (os.killpg if whole_group else os.kill)(process.pid, number)
    process.communicate(timeout=10)
    assert process.returncode == -number
    wait_for("the frequency is not given back", fake, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_agent_that_can_waits_until_it_is_given_back(agent: Path, fake: FakeSys, number: signal.Signals) -> None:
    before = fake.snapshot()
    process = start(agent, fake, "forever")
    wait_for("the agent locks nothing", fake)
    process.send_signal(number)
    process.communicate(timeout=10)
    assert fake.snapshot() == before


def test_a_reader_that_goes_away_gives_it_back(agent: Path, fake: FakeSys) -> None:
    names = ("scale", "raise", "nested", "parallel", "workspace")
    before = fake.snapshot()
    process = start(agent, fake, *names)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=20) == 1
    assert fake.snapshot() == before


@pytest.mark.parametrize("name", ["segfault", "illegal", "raise", "killed", "exit", "greedy"])
def test_a_failing_cell_keeps_the_lock_of_the_others(agent: Path, fake: FakeSys, name: str) -> None:
    before = fake.snapshot()
    answer = run_agent(agent, *arguments(fake, name, "scale"))
    cells = {line["id"]: line for line in answer.lines[:-1]}
    assert cells[name]["status"] == "failed"
    assert cells["scale"]["frequency_locked"] is True
    assert fake.snapshot() == before


def test_a_run_is_locked_too(agent: Path, fake: FakeSys) -> None:
    before = fake.snapshot()
    answer = run_agent(agent, "run", "--min-time-ms", "1", "--lock-frequency", "--sysfs", fake.root)
    assert answer.one("run")["frequency_locked"] is True
    assert fake.snapshot() == before


def test_a_file_that_refuses_is_a_reason_and_no_error(agent: Path, fake: FakeSys) -> None:
    """A sysctl that nobody may write, root neither: the governor before it must not stay changed."""
    constant = need_path(Path("/proc/sys/kernel/ngroups_max"), why="a number of the kernel's that cannot be written")
    limit = fake.cpufreq(fake.cpus[0], "scaling_max_freq")
    limit.unlink()
    limit.symlink_to(constant)
    before = fake.snapshot()
    cell = run_agent(agent, *arguments(fake, "scale")).one("cell")
    assert cell["status"] == "ok"
    assert (cell["frequency_locked"], cell["locked_khz"]) == (False, None)
    assert f"scaling_max_freq of cpu {fake.cpus[0]}" in cell["lock_reason"]
    assert fake.snapshot() == before


@pytest.mark.parametrize("missing", ["scaling_governor", "scaling_min_freq", "cpuinfo_max_freq"])
def test_a_missing_file_is_a_reason(agent: Path, fake: FakeSys, missing: str) -> None:
    for cpu in fake.cpus:
        fake.cpufreq(cpu, missing).unlink()
    before = fake.snapshot()
    cell = run_agent(agent, *arguments(fake, "scale")).one("cell")
    assert cell["frequency_locked"] is False
    assert cell["lock_reason"]
    assert fake.snapshot() == before


def test_a_clock_that_is_set_by_hand_is_left_alone(agent: Path, fake: FakeSys) -> None:
    """The kernel forgets the frequency of the governor `userspace` when another one comes between."""
    for cpu in fake.cpus:
        fake.cpufreq(cpu, "scaling_governor").write_text("userspace\n")
    before = fake.snapshot()
    cell = run_agent(agent, *arguments(fake, "scale")).one("cell")
    assert cell["frequency_locked"] is False
    assert "userspace" in cell["lock_reason"]
    assert fake.snapshot() == before


@pytest.mark.parametrize(
    ("milli_c", "limit", "locked"), [(86000, 1500000, False), (86000, 1800000, True), (50000, 1500000, True)]
)
def test_a_limit_that_heat_sets_is_not_taken_for_the_users(
    agent: Path, fake: FakeSys, milli_c: int, limit: int, locked: bool
) -> None:
    fake.zone(0, milli_c, {"passive": 85000})
    for cpu in fake.cpus:
        fake.cpufreq(cpu, "scaling_max_freq").write_text(f"{limit}\n")
    before = fake.snapshot()
    cell = run_agent(agent, *arguments(fake, "scale")).one("cell")
    assert cell["frequency_locked"] is locked
    assert locked or "heat" in cell["lock_reason"]
    assert fake.snapshot() == before


def test_unasked_nothing_is_touched(agent: Path, fake: FakeSys) -> None:
    words = [word for word in arguments(fake, "scale") if word != "--lock-frequency"]
    times = {path: path.stat().st_mtime_ns for path in fake.root.rglob("*") if path.is_file()}
    cell = run_agent(agent, *words).one("cell")
    assert (cell["frequency_locked"], cell["locked_khz"], cell["lock_reason"]) == (False, None, None)
    assert {path: path.stat().st_mtime_ns for path in fake.root.rglob("*") if path.is_file()} == times


def test_two_agents_at_once_do_not_take_the_lock_for_the_state_before(released: Path, fake: FakeSys) -> None:
    """The second finds the first one's limits; it must neither lock nor ever write those back."""
    before = fake.snapshot()
    first = start(released, fake, "forever")
    wait_for("the agent locks nothing", fake)
    second = subprocess.Popen(
        [str(released), "run", "--min-time-ms", "1", "--lock-frequency", "--sysfs", str(fake.root)],
        stdout=subprocess.PIPE,
    )
    time.sleep(0.3)
    first.kill()
    first.communicate(timeout=10)
    stdout, _ = second.communicate(timeout=30)
    assert second.returncode == 0
    assert b'"frequency_locked":true' in stdout
    assert fake.snapshot() == before


frequencies = st.integers(1, 9).map(lambda step: step * 300_000)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limits=st.tuples(frequencies, frequencies).map(sorted),
    highest=frequencies,
    base=st.none() | frequencies,
    governor=st.sampled_from(["ondemand", "performance", "powersave"]),
    available=st.sampled_from(["ondemand powersave", "performance powersave", None]),
    ending=st.sampled_from([None, signal.SIGKILL, signal.SIGTERM]),
    delay_ms=st.integers(0, 30),
)
def test_after_any_end_every_file_is_as_before(
    released: Path,
    tmp_path_factory: pytest.TempPathFactory,
    limits: list[int],
    highest: int,
    base: int | None,
    governor: str,
    available: str | None,
    ending: signal.Signals | None,
    delay_ms: int,
) -> None:
    fake = FakeSys(tmp_path_factory.mktemp("law"))
    for cpu in fake.cpus:
        files = {"scaling_min_freq": limits[0], "scaling_max_freq": limits[1], "cpuinfo_max_freq": highest}
        files |= {} if base is None else {"base_frequency": base}
        for leaf, khz in files.items():
            fake.write(f"devices/system/cpu/cpu{cpu}/cpufreq/{leaf}", str(khz))
        fake.cpufreq(cpu, "scaling_governor").write_text(governor + "\n")
        fake.cpufreq(cpu, "scaling_available_governors").unlink()
        if available is not None:
            fake.write(f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_available_governors", available)
    names = ("scale",) if ending is None else ("scale", "forever")
    before = fake.snapshot()
    process = start(released, fake, *names)
    if ending is not None:
        time.sleep(delay_ms / 1000)
        process.send_signal(ending)
    stdout, _ = process.communicate(timeout=30)
    if ending is None:
        wanted = base or highest
        assert f'"frequency_locked":true,"locked_khz":{wanted}'.encode() in stdout
    wait_for("the files are not as before", fake, before)
