"""Files over ADB: `adb push` and `adb pull`, for as long as they make progress."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from hwaware.devices.adb_client import AdbClient
from hwaware.devices.child import Expired, drain, end_session
from hwaware.devices.output import one_line
from hwaware.errors import AgentError

MAX_RECEIVED_BYTES = 1 << 32
_END_S = 10.0
_KEPT_BYTES = 1 << 14
# The most of a file that adb and its server may have sent, as far as they know, before the device took any of it.
_BUFFERED_BYTES = 16 << 20
# adb calls what it leaves out a warning, and ends with status 0.
_REASON = re.compile(r"(?:error|warning): (.+)")
_SKIPPED = "skipping special file"


def send_file(client: AdbClient, local: Path, remote: str) -> None:
    """Copy `local` to the absolute path `remote`; see Link.send."""
    step = f"the upload of {one_line(local.name)}"
    silence = client.limits.transfer + round(min(_size(local), _BUFFERED_BYTES) / client.limits.slowest)
    _transfer(client, step, ["push", str(local.absolute()), remote], silence)


def receive_file(client: AdbClient, remote: str, local: Path) -> None:
    """Copy `remote` to `local`; see Link.receive. A part of it does not stay: adb removes that."""
    step = f"the download of {one_line(remote)}"
    _transfer(client, step, ["pull", remote, str(local.absolute())], client.limits.transfer, grows=local)


def _transfer(client: AdbClient, step: str, words: list[str], silence: float, grows: Path | None = None) -> None:
    """Run an adb command that copies a file and is never silent for `silence` seconds; `grows` is what it writes."""
    # With a terminal adb tells of each block: the only way to know a slow copy from one that stands still.
    ours, theirs = os.openpty()
    said = bytearray()
    heard = time.monotonic()

    def hear(data: bytes) -> None:
        nonlocal heard
        heard = time.monotonic()
        said.extend(data)
        del said[:-_KEPT_BYTES]
        if grows is not None and _size(grows) > MAX_RECEIVED_BYTES:
            raise AgentError(f"device {client.name}: {step} brought more than {MAX_RECEIVED_BYTES >> 30} GiB")

    try:
        try:
            process = client.start(step, *words, terminal=theirs)
        finally:
            os.close(theirs)
        with process:
            try:
                drain([(ours, hear)], lambda: heard + silence - time.monotonic())
                process.wait(_END_S)
            except (Expired, subprocess.TimeoutExpired) as error:
                end_session(process)
                raise client.timed_out(step, silence) from error
            except BaseException:
                end_session(process)
                raise
    finally:
        os.close(ours)
    text = said.decode(errors="replace")
    if process.returncode != 0 or _SKIPPED in text:
        raise client.failure(step, _reason(text))


def _reason(text: str) -> str:
    """adb's own words for a failure; what it has overwritten on its terminal is progress."""
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    reasons = [found[1] for line in lines if (found := _REASON.search(line))]
    return one_line((reasons or lines or [""])[-1])


def _size(path: Path) -> int:
    """Bytes of a file, 0 where there is none: then adb says why."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
