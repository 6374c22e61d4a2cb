"""What a command on a device printed, within bounds: a broken device must not swell this process."""

from __future__ import annotations

from collections.abc import Callable

from hwaware.errors import AgentError

MAX_LINE_BYTES = 1 << 20
MAX_TOTAL_BYTES = 256 << 20
KEPT_STDERR_BYTES = 1 << 20


class OutputCollector:
    """Collects both streams of one command and hands out the lines of stdout as they become complete.

    More than `max_line` bytes without a newline on stdout, or more than `max_total` bytes on both streams,
    raise AgentError.
    """

    def __init__(
        self,
        device: str,
        on_line: Callable[[str], None] | None = None,
        *,
        max_line: int = MAX_LINE_BYTES,
        max_total: int = MAX_TOTAL_BYTES,
    ) -> None:
        self._device = device
        self._on_line = on_line
        self._max_line = max_line
        self._max_total = max_total
        self._total = 0
        self._stdout: list[bytes] = []
        self._stderr = bytearray()
        self._partial = bytearray()

    def feed_stdout(self, data: bytes) -> None:
        """The next bytes of stdout."""
        self._count(data)
        self._stdout.append(data)
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._partial += piece
            self._check_line()
            line = self._partial.decode(errors="replace")
            self._partial.clear()
            self._emit(line)
        self._partial += rest
        self._check_line()

    def feed_stderr(self, data: bytes) -> None:
        """The next bytes of stderr; only the end of the stream is kept."""
        self._count(data)
        self._stderr += data
        if len(self._stderr) > 2 * KEPT_STDERR_BYTES:
            del self._stderr[:-KEPT_STDERR_BYTES]

    def finish(self) -> tuple[str, str]:
        """Hand out a last line without a newline; returns all of stdout and the end of stderr."""
        if self._partial:
            self._emit(self._partial.decode(errors="replace"))
            self._partial.clear()
        stdout = b"".join(self._stdout).decode(errors="replace")
        return stdout, self._stderr[-KEPT_STDERR_BYTES:].decode(errors="replace")

    def _emit(self, line: str) -> None:
        if self._on_line is not None:
            self._on_line(line)

    def _count(self, data: bytes) -> None:
        self._total += len(data)
        if self._total > self._max_total:
            raise AgentError(
                f"device {self._device}: the command printed more than {self._max_total >> 20} MiB and was "
                "stopped; profile fewer operations at a time, or check what runs there"
            )

    def _check_line(self) -> None:
        if len(self._partial) > self._max_line:
            raise AgentError(
                f"device {self._device}: the command printed a line of more than {self._max_line >> 20} "
                "MiB and "
                "was stopped; check what runs there with `hwaware devices show`"
            )


def one_line(text: str, limit: int = 300) -> str:
    """The end of a device's output, fit for an error message: one line, no control characters."""
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return words if len(words) <= limit else "…" + words[-limit:]
