"""What is peculiar to commands over ADB; what holds for every link is in test_run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hwaware.devices.adb import AdbLink
from hwaware.errors import DeviceError
from tests.adb.phone import Phone
from tests.adb.server import AdbServer
from tests.devices.conftest import Connect
from tests.devices.test_run import assert_gone, family

KINDS = pytest.mark.parametrize("kind", ["adb", "old-adb"])

RUN = """
import sys
from hwaware.devices.adb import AdbLink
AdbLink("board", sys.argv[1]).run(["sh", "-c", sys.argv[2]], timeout=60)
"""


@KINDS
def test_an_absent_command_says_so(connect: Connect, kind: str) -> None:
    done = connect(kind).run(["/no/such/agent"], timeout=20)
    assert done.returncode == 127
    assert "/no/such/agent" in done.stderr


@KINDS
@pytest.mark.parametrize("status", [0, 1, 42, 126, 127, 128, 193, 255])
def test_each_exit_status_is_exact(connect: Connect, kind: str, status: int) -> None:
    assert connect(kind).run(["sh", "-c", f"exit {status}"], timeout=20).returncode == status


@KINDS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_each_signal_is_told(connect: Connect, kind: str, number: signal.Signals) -> None:
    assert connect(kind).run(["sh", "-c", f"kill -{number.value} $$"], timeout=20).returncode == -number


@KINDS
def test_line_ends_are_left_as_they_are(connect: Connect, kind: str) -> None:
    done = connect(kind).run(["printf", r"a\nb\r\nc\rd\004e\003\377"], timeout=20)
    assert done.stdout == "a\nb\r\nc\rd\x04e\x03\ufffd"


def test_the_shell_of_an_old_phone_would_change_them(old_phone: Phone, adb_server: AdbServer) -> None:
    assert adb_server.run("-s", old_phone.serial, "shell", "echo a") == "a\r\n"
    assert adb_server.run("-s", old_phone.serial, "exec-out", "echo a") == "a\n"


@KINDS
def test_stdin_is_empty(connect: Connect, kind: str) -> None:
    assert connect(kind).run(["cat"], timeout=20).stdout == ""


@KINDS
def test_a_shells_own_commands_are_none(connect: Connect, kind: str) -> None:
    transport = connect(kind)
    assert transport.run(["exit", "3"], timeout=20).returncode == 127
    # The shell's own echo would make a tabulator of it.
    assert transport.run(["echo", r"a\tb"], timeout=20).stdout == "a\\tb\n"


@KINDS
def test_a_list_of_processes_does_not_show_the_marker(connect: Connect, kind: str) -> None:
    done = connect(kind).run(["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; exit 5"], timeout=20)
    assert done.returncode == 5
    assert "hwaware" in done.stdout


def test_children_may_print_after_the_command(connect: Connect) -> None:
    done = connect("adb").run(["sh", "-c", "(sleep 1; echo late) & echo early"], timeout=20)
    assert (done.returncode, done.stdout) == (0, "early\nlate\n")


@KINDS
def test_many_at_once(connect: Connect, kind: str) -> None:
    transport = connect(kind)

    def run(number: int) -> tuple[int, str, str]:
        done = transport.run(["sh", "-c", f"echo {number}; echo e{number} >&2; exit {number}"], timeout=60)
        return done.returncode, done.stdout, done.stderr

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(24))) == [(n, f"{n}\n", f"e{n}\n") for n in range(24)]


@pytest.mark.parametrize(("kind", "most"), [("adb", 60_000), ("old-adb", 4_000)])
def test_too_many_arguments_are_refused(connect: Connect, kind: str, most: int) -> None:
    transport = connect(kind)
    # What the script around it takes is part of it.
    assert transport.run(["echo", "x" * (most - 1000)], timeout=20).stdout == "x" * (most - 1000) + "\n"
    with pytest.raises(DeviceError, match=f"bytes of arguments, over ADB this device takes {most}"):
        transport.run(["echo", "x" * most], timeout=20)
    assert transport.run(["echo", "still here"], timeout=20).stdout == "still here\n"


@KINDS
def test_ctrl_c_kills_the_command_and_its_children(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    phone: Phone = request.getfixturevalue({"adb": "phone", "old-adb": "old_phone"}[kind])
    script, pids = family(tmp_path)
    host = subprocess.Popen(
        [sys.executable, "-c", RUN, phone.serial, script], stderr=subprocess.PIPE, start_new_session=True
    )
    with host:
        deadline = time.monotonic() + 30
        while not (pids.exists() and pids.read_text().endswith("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        host.send_signal(signal.SIGINT)
        assert host.stderr is not None
        assert b"KeyboardInterrupt" in host.stderr.read()
    assert_gone(pids)


@pytest.mark.parametrize("features", ["shell_v2,cmd", ""])
def test_ctrl_c_kills_a_command_that_is_just_starting(
    start_phone: Callable[..., Phone], tmp_path: Path, features: str
) -> None:
    shell = tmp_path / "slow shell"
    shell.write_text('#!/bin/sh\nsleep 1\nexec sh "$@"\n')
    shell.chmod(0o755)
    phone = start_phone(features=features, shell=str(shell))
    link = AdbLink("board", phone.serial)
    script, pids = family(tmp_path)
    timer = threading.Timer(0.4, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        link.run(["sh", "-c", script], timeout=60)
    timer.join()
    assert not hasattr(caught.value, "__notes__")
    if pids.exists():  # it may have been stopped before it could write them
        assert_gone(pids)


def test_a_command_that_outlives_its_phone_is_named_in_a_note(start_phone: Callable[..., Phone]) -> None:
    phone = start_phone()
    link = AdbLink("board", phone.serial)

    def switch_off(line: str) -> None:
        phone.stop()
        raise ValueError(line)

    with pytest.raises(ValueError, match="started") as caught:
        link.run(["sh", "-c", "echo started; sleep 60"], timeout=60, on_line=switch_off)
    assert "may still run on board: device board: " in caught.value.__notes__[0]
