"""One command over ADB: what it prints, its exit status, and that it dies when nobody waits for it."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hwaware.devices.adb_client import AdbClient
from hwaware.devices.adb_output import MarkedOutput
from hwaware.devices.child import Expired, drain, end_session
from hwaware.devices.link import Completed, OnLine
from hwaware.devices.output import KEPT_STDERR_BYTES, OutputCollector, one_line
from hwaware.devices.stop_script import STOP
from hwaware.errors import DeviceError

_STOP_S = 10.0
_ANNOUNCE_S = 5.0
# The adb protocol counts a command's length in 16 bits; before Android 7 it must fit into one packet of 4096 bytes,
# and the adb server ends on one that does not.
_MOST_BYTES = 60_000
_MOST_BYTES_MERGED = 4_000
# Shells tell the death by signal N as 128 + N.
_SIGNALLED, _MOST_SIGNAL = 128, 64

# The process is named first, so that it can be stopped. The marker comes in two halves, so that a list of processes
# does not show it.
_BEGIN = """
marker=$1$2
shift 2
group=0
{ read -r pid name state parent group rest </proc/$$/stat; } 2>/dev/null
echo "$marker $$ $group"
"""
_SEPARATE = (
    _BEGIN
    + """
(exec "$@") </dev/null
echo "$marker $?"
"""
)
# With one stream for both, `tail` keeps the end of stderr until all of stdout has been printed.
_MERGED = (
    _BEGIN
    + f"""
{{
    {{ (exec "$@") </dev/null; echo "$marker $?"; }} 2>&1 >&3 3>&- | tail -c {KEPT_STDERR_BYTES} 3>&-
}} 3>&1
echo "$marker end"
"""
)


def run_command(
    client: AdbClient,
    argv: Sequence[str],
    *,
    timeout: float,
    on_line: OnLine | None = None,
    stop_on_error: bool = True,
) -> Completed:
    """Run `argv` on the device; see Link.run for the promises."""
    step = f"the command {one_line(Path(argv[0]).name)}"
    halves = secrets.token_hex(8), secrets.token_hex(8)
    collector = OutputCollector(client.name, on_line)
    output = MarkedOutput(client.name, "".join(halves).encode(), collector, merged=not client.separate_streams)
    process = client.start(step, *_words(client, step, [*halves, *argv]))
    with process:
        try:
            _pump(client, process, output, step, timeout)
        except BaseException as error:
            try:
                if stop_on_error:
                    _hear_its_process(process, output, error)
                    _stop(client, output, error)
            finally:
                end_session(process)
            raise
    if output.status is None or not output.finished:
        raise client.failure(step, output.said)
    signal = output.status - _SIGNALLED
    status = -signal if 0 < signal <= _MOST_SIGNAL else output.status
    return Completed(tuple(argv), status, *output.finish())


def _words(client: AdbClient, step: str, argv: Sequence[str]) -> tuple[str | bytes, ...]:
    """The adb command that runs the script around `argv`."""
    script = _SEPARATE if client.separate_streams else _MERGED
    command = shlex.join(["exec", "sh", "-c", script, "hwaware", *argv]).encode(errors="surrogateescape")
    most = _MOST_BYTES if client.separate_streams else _MOST_BYTES_MERGED
    if len(command) > most:
        raise DeviceError(
            f"device {client.name}: {step} has {len(command)} bytes of arguments, over ADB this device takes {most}; "
            "use fewer or shorter ones"
        )
    # `exec-out` has no terminal that would change line ends, on Androids whose `shell` has nothing else.
    return ("shell", "-T", command) if client.separate_streams else ("exec-out", command)


def _pump(client: AdbClient, process: subprocess.Popen[bytes], output: MarkedOutput, step: str, timeout: float) -> None:
    """Drain both streams until the command has ended. Raises DeviceTimeoutError."""
    begun = time.monotonic()

    def limit() -> float:
        return timeout if output.process is not None else min(timeout, client.limits.start)

    def remaining() -> float:
        return begun + limit() - time.monotonic()

    try:
        _drain(process, output, remaining)
        process.wait(max(0.0, remaining()))
    except (Expired, subprocess.TimeoutExpired) as error:
        raise client.timed_out(step, limit()) from error


def _drain(process: subprocess.Popen[bytes], output: MarkedOutput, remaining: Callable[[], float]) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    drain(((process.stdout, output.feed_stdout), (process.stderr, output.feed_stderr)), remaining)


def _hear_its_process(process: subprocess.Popen[bytes], output: MarkedOutput, cause: BaseException) -> None:
    """Wait a moment for what is just being announced, as without it the command could not be stopped."""
    if isinstance(cause, DeviceError):
        return  # it was waited for, or it will never be told
    deadline = time.monotonic() + _ANNOUNCE_S

    def remaining() -> float:
        return deadline - time.monotonic() if output.process is None else 0.0

    # Whatever else goes wrong now, also in the caller's `on_line`, the cause is what counts.
    with contextlib.suppress(Exception):
        _drain(process, output, remaining)


def _stop(client: AdbClient, output: MarkedOutput, cause: BaseException) -> None:
    """Kill what was announced. Where that fails `cause` is told: its process may still run there."""
    if output.process is None:
        cause.add_note(f"what was just being started may still run on {client.name}")
        return
    try:
        stop = ["sh", "-c", STOP, "hwaware", *output.process]
        run_command(client, stop, timeout=_STOP_S, stop_on_error=False)
    except DeviceError as error:
        cause.add_note(f"process {output.process[0]} may still run on {client.name}: {error}")
