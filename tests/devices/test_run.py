"""Commands on a device: quoting, streams, limits, and that nothing survives its caller."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.output import KEPT_STDERR_BYTES, OutputCollector
from hwaware.devices.transport import Transport
from hwaware.errors import AgentError, DeviceError
from tests.devices.conftest import Connect

ODD_WORDS = [
    "",
    " ",
    "a b",
    "it's",
    '"quoted"',
    "$HOME `id` $(id)",
    "two\nlines",
    "-n",
    "*",
    "ünï→",
    "\\",
    "a;b&c",
]


def test_words_arrive_as_they_are(transport: Transport) -> None:
    done = transport.run(["printf", "%s\\0", *ODD_WORDS], timeout=20)
    assert done.returncode == 0
    assert done.stdout.split("\0")[:-1] == ODD_WORDS


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(word=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_any_word_arrives_as_it_is(transport: Transport, word: str) -> None:
    done = transport.run(["printf", "%s", word], timeout=20)
    assert done.stdout == word


def test_exit_status_and_both_streams(transport: Transport) -> None:
    done = transport.run(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_a_command_that_a_signal_ends_has_a_negative_status(transport: Transport) -> None:
    assert transport.run(["sh", "-c", "kill -9 $$"], timeout=20).returncode < 0


def test_an_absent_command_says_so(connect: Connect) -> None:
    with pytest.raises(DeviceError, match="cannot run /no/such/agent: No such file"):
        connect("local").run(["/no/such/agent"], timeout=20)
    done = connect("ssh").run(["/no/such/agent"], timeout=20)
    assert done.returncode == 127
    assert "/no/such/agent" in done.stderr


def test_nul_is_refused(transport: Transport) -> None:
    with pytest.raises(DeviceError, match="NUL"):
        transport.run(["echo", "a\0b"], timeout=20)


def test_lines_come_while_the_command_runs(transport: Transport) -> None:
    times: list[float] = []
    transport.run(
        ["sh", "-c", "echo one; sleep 1; echo two"],
        timeout=20,
        on_line=lambda line: times.append(time.monotonic()),
    )
    assert len(times) == 2
    assert times[1] - times[0] > 0.8


def test_a_flood_on_stderr_does_not_stall_stdout(transport: Transport) -> None:
    # 16 MiB on stderr before the first line on stdout: more than any pipe or SSH window holds.
    script = "head -c 16777216 /dev/zero | tr '\\0' e >&2; echo end >&2; echo done"
    lines: list[str] = []
    done = transport.run(["sh", "-c", script], timeout=60, on_line=lines.append)
    assert lines == ["done"]
    assert done.stderr.endswith("eend\n")
    assert len(done.stderr) <= KEPT_STDERR_BYTES


def test_an_endless_line_is_stopped(transport: Transport) -> None:
    with pytest.raises(AgentError, match="line of more than 1 MiB"):
        transport.run(["sh", "-c", "while :; do printf %65536d 0; done"], timeout=60)


def test_endless_output_is_stopped(connect: Connect) -> None:
    with pytest.raises(AgentError, match="256 MiB"):
        connect("local").run(["yes", "y" * 1000], timeout=60)


def test_a_time_out_names_device_and_step_and_kills(transport: Transport, tmp_path: Path) -> None:
    script, pids = family(tmp_path)
    started = time.monotonic()
    with pytest.raises(DeviceTimeoutError, match=r"device board: the command sh took more than 1\.5 s; ") as caught:
        transport.run(["sh", "-c", script], timeout=1.5)
    assert (caught.value.device, caught.value.seconds) == ("board", 1.5)
    assert time.monotonic() - started < 10
    assert_gone(pids)


@pytest.mark.parametrize("reason", [KeyboardInterrupt, ValueError])
def test_an_interrupt_kills_the_command_and_its_children(
    transport: Transport, tmp_path: Path, reason: type[BaseException]
) -> None:
    script, pids = family(tmp_path)

    def interrupt(line: str) -> None:
        raise reason

    with pytest.raises(reason):
        transport.run(["sh", "-c", script], timeout=60, on_line=interrupt)
    assert_gone(pids)
    assert transport.run(["echo", "still here"], timeout=20).stdout == "still here\n"


def test_a_child_that_ignores_sigterm_is_killed_too(transport: Transport, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"trap '' TERM; echo $$ >'{pids}'; while :; do sleep 1; done"
    with pytest.raises(DeviceTimeoutError):
        transport.run(["sh", "-c", script], timeout=1)
    assert_gone(pids)


def family(folder: Path) -> tuple[str, Path]:
    """A script that starts a child, writes both process numbers into a file and prints a line."""
    pids = folder / "pids"
    return f"sleep 300 & echo $$ $! >'{pids}'; echo started; wait", pids


def assert_gone(pids: Path) -> None:
    for pid in map(int, pids.read_text().split()):
        deadline = time.monotonic() + 8
        while _runs(pid):
            assert time.monotonic() < deadline, f"process {pid} survived"
            time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie has ended; who reaps it in a container without init is not our business.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=8))
def test_lines_do_not_depend_on_how_the_bytes_were_cut(data: bytes, cuts: list[int]) -> None:
    lines: list[str] = []
    collector = OutputCollector("board", lines.append)
    edges = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        collector.feed_stdout(data[start:end])
    stdout, _ = collector.finish()
    assert stdout == data.decode(errors="replace")
    expected = data.split(b"\n")
    assert lines == [line.decode(errors="replace") for line in (expected if expected[-1] else expected[:-1])]


def test_limits_count_both_streams() -> None:
    collector = OutputCollector("board", max_total=1 << 20)
    collector.feed_stdout(b"x\n" * (1 << 18))
    collector.feed_stderr(b"x" * (1 << 19))
    with pytest.raises(AgentError, match="more than 1 MiB"):
        collector.feed_stderr(b"x")
