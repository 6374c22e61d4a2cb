"""The user's ssh configuration, then the system's, as lines that paramiko understands, and that make it run nothing.

Three things paramiko does otherwise than ssh are dealt with here. It skips `Include`: the files are put in its place.
It runs the command of a `Match exec` at each look-up of any host, and takes a condition it does not know for met: what
stands under such a condition is not used. A setting with the prefix `UNJUDGED` is left in its place, so that a host
that may depend on it can be refused. And it does not know `%%`, which is `PERCENT` in these lines.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from hwaware.devices.output import one_line
from hwaware.errors import DeviceError

VARIABLE = "HWAWARE_SSH_CONFIG"
SYSTEM = Path("/etc/ssh/ssh_config")
UNJUDGED = "hwawareunjudged"
PERCENT = "\0"  # in no file of text
# The settings that decide where a connection goes and who logs in. Of ssh's others only `IdentityAgent` is for us, and
# where nobody has judged its condition the usual agent serves or the login fails.
USED = frozenset(
    {
        *("hostname", "user", "port", "identityfile", "identitiesonly"),
        *("proxyjump", "proxycommand", "hostkeyalias", "connecttimeout"),
    }
)
_WITHOUT_VALUE = frozenset({"all", "canonical", "final"})
_JUDGED = frozenset({"host", "originalhost", "user", "localuser"})
_SETTING = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.+)")
_MOST_DEPTH = 16


def config_paths() -> tuple[Path, ...]:
    """The file in $HWAWARE_SSH_CONFIG; without it those of ~/.ssh/config and the system's that exist."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return (Path(chosen),)
    return tuple(path for path in (Path(os.path.expanduser("~/.ssh/config")), SYSTEM) if path.exists())


def config_lines(paths: Sequence[Path]) -> list[str]:
    """The lines of `paths`, of which the first comes first. Raises DeviceError."""
    lines: list[str] = []
    for path in paths:
        text = _Text(path, must_be_ours=not os.environ.get(VARIABLE))
        try:
            text.read(path, 0)
        except OSError as error:
            raise unusable((path,), f"{error.strerror}: {error.filename}") from error
        except ValueError as error:
            raise unusable((path,), error) from error
        if text.lines:
            lines += ["Host *", *text.lines]  # what stands first in a file is for all hosts
    return lines


def unusable(paths: Sequence[Path], reason: object) -> DeviceError:
    """The error of a configuration that cannot be followed."""
    return DeviceError(
        f"cannot use the ssh configuration {in_words(paths)}: {one_line(str(reason))}; correct it, or name another "
        f"file with {VARIABLE}"
    )


def in_words(paths: Sequence[Path]) -> str:
    """Where a setting is that was read from `paths`."""
    return " or ".join(map(str, paths))


class _Text:
    """Collects lines, and knows under what kind of block the next one stands."""

    def __init__(self, path: Path, *, must_be_ours: bool) -> None:
        self._folder = SYSTEM.parent if path == SYSTEM else Path(os.path.expanduser("~/.ssh"))
        self.lines: list[str] = []
        self._must_be_ours = must_be_ours
        self._conditional = False
        self._unjudged = False

    def read(self, path: Path, depth: int) -> None:
        """Add the lines of `path`. Raises OSError or ValueError."""
        for line in map(str.strip, _content(path, self._must_be_ours).splitlines()):
            if not line or line.startswith("#"):
                continue
            found = _SETTING.fullmatch(line)
            if found is None:
                raise ValueError(f"`{line}` is no setting with a value")
            key, value = found[1].lower(), found[2]
            if key == "include":
                self._include(value, depth)
            elif key == "host":
                self._host(value)
            elif key == "match":
                self._match(value)
            elif not self._unjudged:
                self.lines.append(line.replace("%%", PERCENT))
            elif key in USED:
                self.lines.append(f"{UNJUDGED}{key} yes")

    def _host(self, patterns: str) -> None:
        # In lower case, as device URLs give the host.
        self.lines.append(f"Host {patterns.lower()}")
        self._conditional, self._unjudged = patterns != "*", False

    def _match(self, criteria: str) -> None:
        self._unjudged = False
        judged: list[str] = []
        words = shlex.split(criteria)
        while words:
            name, equals, value = words.pop(0).partition("=")
            kind = name.removeprefix("!").lower()
            if kind in _WITHOUT_VALUE:
                judged.append(name.lower())
                continue
            if not equals:
                if not words:
                    raise ValueError(f"`Match {criteria}`: {name} has no value")
                value = words.pop(0)
            if kind not in _JUDGED:
                self._unjudged = True
            else:
                judged += [name.lower(), value.lower() if kind.endswith("host") else value]
        if len(judged) > 1:
            judged = [word for word in judged if word != "all"]  # paramiko refuses Fedora's `Match final all`
        self._conditional = judged not in ([], ["all"])
        self.lines.append(f"Match {shlex.join(judged or ['all'])}")

    def _include(self, patterns: str, depth: int) -> None:
        if depth >= _MOST_DEPTH:
            raise ValueError("its files include one another without end")
        if self._unjudged:
            self.lines += [f"{UNJUDGED}{key} yes" for key in sorted(USED)]
            return
        for pattern in shlex.split(patterns):
            for name in sorted(glob.glob(os.path.join(self._folder, os.path.expanduser(pattern)))):
                outside, before = self._conditional, len(self.lines)
                self.read(Path(name), depth + 1)
                if not any(line.startswith(("Host ", "Match ")) for line in self.lines[before:]):
                    continue
                if outside:
                    raise ValueError(f"{name}, included for some hosts only, has Host or Match blocks of its own")
                # What follows the included file is not part of its last block.
                self._host("*")


def _content(path: Path, must_be_ours: bool) -> str:
    """The text of `path`; as for ssh, nobody else may write a file that can name commands to run."""
    with path.open(encoding="utf-8", errors="replace") as file:
        about = os.fstat(file.fileno())
        if must_be_ours and (about.st_uid not in (0, os.getuid()) or about.st_mode & 0o022):
            raise ValueError(f"others may write {path}; run `chmod go-w {path}`")
        return file.read()
