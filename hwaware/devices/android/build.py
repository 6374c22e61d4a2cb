"""What an Android says it is: its build, its model and its processor, from its system properties."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hwaware.devices.facts import DeviceFacts
from hwaware.devices.output import one_line
from hwaware.devices.transport import Transport
from hwaware.errors import AgentError

_NAMES = ("ro.build.fingerprint", "ro.product.model", "ro.soc.model", "ro.build.version.sdk")
# Some boards speak ADB without being Androids.
_SCRIPT = """
command -v getprop >/dev/null 2>&1 || { echo none; exit 0; }
for name in "$@"; do getprop "$name"; done
"""
_SCRIPT_S = 30.0
_API = re.compile(r"[1-9][0-9]{0,3}")
_MOST_CHARACTERS = 256


@dataclass(frozen=True)
class AndroidBuild:
    """`fingerprint` names the build, `soc` the processor (None before Android 12), `api` the level of the system."""

    fingerprint: str
    model: str
    soc: str | None
    api: int


def read_build(transport: Transport) -> AndroidBuild | None:
    """The build of the device, None if it is no Android. Raises AgentError for an answer that is none."""
    done = transport.run(["sh", "-c", _SCRIPT, "hwaware", *_NAMES], timeout=_SCRIPT_S)
    if done.stdout == "none\n":
        return None
    build = _parse(done.stdout)
    if build is None:
        said = one_line(done.stdout + " " + done.stderr) or f"exit {done.returncode}"
        raise AgentError(
            f"device {transport.name}: its `getprop` answered {said!r}; see whether `adb shell getprop` works there"
        )
    return build


def with_build(facts: DeviceFacts, transport: Transport) -> DeviceFacts:
    """`facts` with the model and the system that an Android tells, as its files do not tell an agent."""
    build = None if facts.machine_model and facts.os else read_build(transport)
    if build is None:
        return facts
    system = facts.os or f"Android (API {build.api})"
    return replace(facts, machine_model=facts.machine_model or build.model, os=system)


def _parse(answer: str) -> AndroidBuild | None:
    """The build in one line for each of the names, or None."""
    *lines, rest = answer.split("\n")
    if rest or len(lines) != len(_NAMES):
        return None
    if not all(line.isprintable() and len(line) <= _MOST_CHARACTERS for line in lines):
        return None
    fingerprint, model, soc, api = lines
    if not (fingerprint and model and _API.fullmatch(api)):
        return None
    return AndroidBuild(fingerprint, model, soc or None, int(api))
