"""Builds and runs agents around C tables of the tests' own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_agents import NATIVE
from tests.requirements import need

SOURCES = Path(__file__).parent / "native"
WARNINGS = (
    *("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wvla"),
    *("-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"),
)
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
RELEASED = ("-Os", "-static", "-s")


@dataclass(frozen=True)
class Answer:
    """What one call of an agent left: exit status, stdout as parsed JSON lines, stderr."""

    status: int
    lines: list[dict]
    stderr: str

    def one(self, kind: str) -> dict:
        """The only line of this type."""
        (line,) = [line for line in self.lines if line["type"] == kind]
        return line


def build_agent(executable: Path, sources: Sequence[Path], flags: Sequence[str]) -> Path:
    """Compiles the agent with `sources` (tables, kernels, objects); warnings are errors."""
    agent = sorted(NATIVE.glob("*.c"))
    command = [
        need("cc", package="gcc"),
        "-std=gnu11",
        *WARNINGS,
        *flags,
        "-I",
        str(NATIVE),
        "-o",
        str(executable),
    ]
    command += [*map(str, agent), *map(str, sources), "-lpthread", "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return executable


def agent_environment() -> dict[str, str]:
    """Under the sanitizers too, an allocation that cannot be met returns NULL."""
    return {
        **os.environ,
        "ASAN_OPTIONS": "allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def run_agent(agent: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> Answer:
    """Runs to the end; every line of stdout must be JSON."""
    done = subprocess.run(
        [str(agent), *map(str, arguments)],
        capture_output=True,
        timeout=60,
        check=False,
        env=agent_environment() | dict(environment or {}),
    )
    return Answer(done.returncode, parse_lines(done.stdout), done.stderr.decode())


def parse_lines(stdout: bytes) -> list[dict]:
    """All lines; the last one must be whole too."""
    assert stdout == b"" or stdout.endswith(b"\n")
    return [json.loads(line) for line in stdout.decode().splitlines()]
