"""One user a device: contention between real processes, holders that died, boards that were rebooted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hwaware.devices import lease as lease_module
from hwaware.devices.holder import Holder
from hwaware.devices.transport import Transport
from hwaware.errors import DeviceBusyError, DeviceError
from tests.devices.conftest import Connect
from tests.sshd import Sshd

# Another process of this machine: takes the lease on folder argv[1], says so, holds it until its stdin ends.
HOLD = """
import sys
from hwaware.devices.local import LocalLink
from hwaware.devices.transport import Transport
with Transport(LocalLink("board"), (sys.argv[1],)).lease(float(sys.argv[2])):
    print("holding", flush=True)
    sys.stdin.read()
"""

# Reads a number, waits, writes it back plus one: loses counts unless it is alone.
COUNT = """
import sys, time
from pathlib import Path
from hwaware.devices.local import LocalLink
from hwaware.devices.transport import Transport
with Transport(LocalLink("board"), (sys.argv[1],)).lease(60):
    file = Path(sys.argv[2])
    count = int(file.read_text())
    time.sleep(0.1)
    file.write_text(str(count + 1))
"""


@contextmanager
def _holder(cache: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(cache), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    with process:
        yield process
        if process.stdin is not None and process.poll() is None:
            process.stdin.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "the cache"


def test_a_second_user_is_told_who_holds_it(transport: Transport, cache: Path) -> None:
    with _holder(cache) as holder:
        with pytest.raises(DeviceBusyError) as caught, transport.lease():
            pass
        assert f"(process {holder.pid})" in str(caught.value)
        assert str(Holder.current()).split(" (")[0] in str(caught.value)
    with transport.lease():
        assert transport.run(["echo", "mine"], timeout=20).stdout == "mine\n"


def test_a_second_user_waits_and_is_told_once(transport: Transport, cache: Path) -> None:
    told: list[str] = []
    with _holder(cache) as holder:

        def let_go(message: str) -> None:
            told.append(message)
            assert holder.stdin is not None
            holder.stdin.close()

        with transport.lease(30, let_go):
            assert len(told) == 1
            assert f"in use by {Holder.current().user}@" in told[0]


def test_waiting_ends(transport: Transport, cache: Path) -> None:
    with _holder(cache):
        started = time.monotonic()
        with pytest.raises(DeviceBusyError), transport.lease(1.5):
            pass
        assert 1.4 < time.monotonic() - started < 6


def test_the_lease_of_a_killed_process_is_taken_over_at_once(transport: Transport, cache: Path) -> None:
    with _holder(cache) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    started = time.monotonic()
    with transport.lease():
        assert time.monotonic() - started < 5
        names = {path.name for path in cache.iterdir()}
        assert len(names) == 2, names  # ours: the lease and the work folder; nothing of the dead one is left
    assert list(cache.iterdir()) == []


def test_counts_are_not_lost_between_processes(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("0")
    users = [subprocess.Popen([sys.executable, "-c", COUNT, str(cache), str(file)]) for _ in range(4)]
    assert [user.wait(90) for user in users] == [0] * 4
    assert file.read_text() == "4"


def test_one_stale_lease_is_taken_over_by_one_of_many(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("0")
    _foreign_lease(cache, age=90)
    users = [subprocess.Popen([sys.executable, "-c", COUNT, str(cache), str(file)]) for _ in range(4)]
    assert [user.wait(90) for user in users] == [0] * 4
    assert file.read_text() == "4"


def _foreign_lease(cache: Path, *, age: float, boot: str | None = None) -> Path:
    """What a user on another host would have left, with a heartbeat `age` seconds ago."""
    lease = cache / "lease"
    lease.mkdir(parents=True)
    here = Holder.current()
    bob = json.loads(here.as_json()) | {"user": "bob", "host": "laptop", "machine": "another", "pid": 1}
    boot = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    (lease / "token").write_text("ab" * 16 + "\n")
    (lease / "holder").write_text(json.dumps(bob) + "\n")
    (lease / "heartbeat").write_text(f"{boot} {int(uptime - age)}\n")
    (cache / f"work-{'ab' * 16}").mkdir()
    return lease


def test_a_fresh_heartbeat_of_another_host_is_respected(transport: Transport, cache: Path) -> None:
    _foreign_lease(cache, age=30)
    with (
        pytest.raises(DeviceBusyError, match=r"in use by bob@laptop \(process 1\) since 20"),
        transport.lease(),
    ):
        pass


@pytest.mark.parametrize("leftover", [{"age": 61.5}, {"age": 1, "boot": "an-earlier-boot"}])
def test_an_old_heartbeat_or_one_before_a_reboot_is_stale(
    transport: Transport, cache: Path, leftover: dict[str, object]
) -> None:
    _foreign_lease(cache, **leftover)  # type: ignore[arg-type]
    with transport.lease():
        assert not (cache / f"work-{'ab' * 16}").exists()
    assert list(cache.iterdir()) == []


def test_a_lease_that_was_never_finished_is_stale_after_a_minute(transport: Transport, cache: Path) -> None:
    lease = cache / "lease"
    lease.mkdir(parents=True)
    with pytest.raises(DeviceBusyError, match="unknown@unknown"), transport.lease():
        pass
    # The refused one has begun the heartbeat that the device's clock then tells the age of.
    boot, uptime = (lease / "heartbeat").read_text().split()
    (lease / "heartbeat").write_text(f"{boot} {int(uptime) - 61}\n")
    with transport.lease():
        pass


def test_one_that_was_never_finished_long_ago_is_stale_at_once(transport: Transport, cache: Path) -> None:
    lease = cache / "lease"
    lease.mkdir(parents=True)
    os.utime(lease, (time.time() - 130, time.time() - 130))
    with transport.lease():
        pass


@pytest.mark.parametrize("holder", ["", "{", "[" * 100_000, '{"user": "\\u001b[2J", "pid": -5}', '{"pid": 1e9}'])
def test_a_hostile_holder_is_called_unknown(transport: Transport, cache: Path, holder: str) -> None:
    (_foreign_lease(cache, age=1) / "holder").write_text(holder + "\n")
    with pytest.raises(DeviceBusyError, match=r"unknown@unknown \(process 0\)"), transport.lease():
        pass


def test_a_hostile_token_removes_nothing_outside(transport: Transport, cache: Path, tmp_path: Path) -> None:
    lease = _foreign_lease(cache, age=90)
    (cache / "work-x").mkdir()
    (tmp_path / "precious").mkdir()
    (lease / "token").write_text("x/../../precious\n")
    with transport.lease():
        assert (tmp_path / "precious").is_dir()


def test_the_heartbeat_keeps_the_lease(transport: Transport, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT_S", 0.2)
    with transport.lease():
        beat = cache / "lease/heartbeat"
        written = beat.stat().st_ino
        deadline = time.monotonic() + 10
        while beat.stat().st_ino == written:
            assert time.monotonic() < deadline, "no heartbeat"
            time.sleep(0.05)


def test_a_holder_notices_that_the_lease_is_lost(
    transport: Transport, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "HEARTBEAT_S", 0.2)

    def measure() -> None:
        with transport.lease():
            (cache / "lease/token").write_text("cd" * 16 + "\n")
            for _ in range(50):
                time.sleep(0.2)
                transport.run(["true"], timeout=20)

    with pytest.raises(DeviceError, match="lease was lost \\(another user took it over\\)"):
        measure()
    assert (cache / "lease/token").read_text() == "cd" * 16 + "\n"  # the other's lease was left alone


def test_a_lease_inside_a_lease_is_the_same(connect: Connect, cache: Path) -> None:
    transport = connect("local")
    with transport.lease():
        with transport.lease():
            pass
        assert (cache / "lease").is_dir()
    assert not (cache / "lease").exists()


def test_an_error_inside_gives_the_device_back(transport: Transport, cache: Path) -> None:
    with pytest.raises(KeyboardInterrupt), transport.lease():
        raise KeyboardInterrupt
    assert list(cache.iterdir()) == []


def test_a_lost_connection_is_what_is_reported(connect: Connect, start: Callable[..., Sshd]) -> None:
    server = start()
    transport = connect("ssh", None, server)

    def measure() -> None:
        with transport.lease():
            server.stop()
            time.sleep(0.3)
            transport.run(["true"], timeout=20)

    with pytest.raises(DeviceError, match="connection was lost during the command true"):
        measure()


def test_what_this_process_lost_it_takes_over_at_once(connect: Connect, cache: Path) -> None:
    """A profile whose link broke goes on in the same notebook; a lease that is really held is not taken."""
    lost = connect("local").lease()
    lost.__enter__()
    with pytest.raises(DeviceBusyError), connect("local").lease():
        pass
    lease_module._OURS.clear()  # as after a link was lost: nobody gave it back
    started = time.monotonic()
    with connect("local").lease():
        assert time.monotonic() - started < 5
    lost.__exit__(None, None, None)
