"""What a command over ADB printed, told apart from what the script around it says.

adb ends with status 0 when it loses the device in the middle of a command, and older Androids tell no exit status
at all; so the script says on stdout where the command began and how it ended.
"""

from __future__ import annotations

import re

from hwaware.devices.child import Feed
from hwaware.devices.output import MAX_LINE_BYTES, OutputCollector, one_line
from hwaware.errors import AgentError

_PROCESS = re.compile(rb" ([0-9]{1,10}) ([0-9]{1,10})")
_STATUS = re.compile(rb" ([0-9]{1,3})")
_END = re.compile(rb" end")
_MOST_SAID = 64
_LAST_WORDS = 2000


class MarkedOutput:
    """The collector's input, between lines that begin with `marker`, which no command prints by chance.

    They say: the process and its group; after the command's stdout its exit status. Where the device has but one
    stream (`merged`), the command's stderr comes then, and a line that says that it is complete.
    """

    def __init__(self, device: str, marker: bytes, collector: OutputCollector, *, merged: bool) -> None:
        self.process: tuple[str, str] | None = None
        self.status: int | None = None
        self._device = device
        self._marker = marker
        self._collector = collector
        self._merged = merged
        # What comes next goes where, and ends with a line of what form.
        self._parts: list[tuple[Feed, re.Pattern[bytes] | None]] = [
            (self._feed_noise, _PROCESS),
            (collector.feed_stdout, _STATUS),
        ]
        if merged:
            self._parts.append((collector.feed_stderr, _END))
        self._parts.append((collector.feed_stdout, None))  # of children that go on after the command
        self._held = b""
        self._in_line = False
        self._noise = b""
        self._last_words = b""

    @property
    def finished(self) -> bool:
        """Whether the script has said all it has to say."""
        return self._parts[0][1] is None

    @property
    def said(self) -> str:
        """For messages: what came before any command ran, and adb's own last words."""
        return one_line((self._noise[-_LAST_WORDS:] + b" " + self._last_words).decode(errors="replace"))

    def feed_stdout(self, data: bytes) -> None:
        """The next bytes of adb's stdout."""
        self._held += data
        while self._held and self._take():
            pass

    def feed_stderr(self, data: bytes) -> None:
        """The next bytes of adb's stderr, which is the command's too unless the device merges both."""
        self._last_words = (self._last_words + data)[-_LAST_WORDS:]
        if not self._merged:
            self._collector.feed_stderr(data)

    def finish(self) -> tuple[str, str]:
        """All of stdout and the end of stderr."""
        return self._collector.finish()

    def _take(self) -> bool:
        """Take a part of what is held; whether the rest may hold another."""
        sink, form = self._parts[0]
        if form is None:
            before, self._held = self._held, b""
            sink(before)
            return False
        if self._in_line:
            line, newline, rest = self._held.partition(b"\n")
            found = form.fullmatch(line) if newline else None
            if found is None and (newline or len(line) > _MOST_SAID):
                raise AgentError(
                    f"device {self._device}: its shell garbled the end of a command: {one_line(line.decode('latin-1'))}"
                )
            if found is None:
                return False
            self._note(found)
            self._held = rest
            self._in_line = False
            del self._parts[0]
            return True
        before, marker, rest = self._held.partition(self._marker)
        if marker:
            self._held = rest
            self._in_line = True
        else:
            # A marker may have been cut in two: its beginning waits for the rest. No line's end is one.
            kept = _begun(before, self._marker)
            before, self._held = before[: len(before) - kept], before[len(before) - kept :]
        if before:
            sink(before)
        return self._in_line

    def _note(self, found: re.Match[bytes]) -> None:
        if self.process is None:
            self.process = (found[1].decode(), found[2].decode())
        elif self.status is None:
            self.status = int(found[1])

    def _feed_noise(self, data: bytes) -> None:
        self._noise += data
        if len(self._noise) > MAX_LINE_BYTES:
            raise AgentError(
                f"device {self._device}: its shell prints without end before any command runs; "
                "correct its start-up files"
            )


def _begun(data: bytes, marker: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of `marker`."""
    most = min(len(data), len(marker) - 1)
    return next((count for count in range(most, 0, -1) if data.endswith(marker[:count])), 0)
