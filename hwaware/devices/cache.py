"""hwaware's folder on a device: the first one that can be written and whose files can be executed."""

from __future__ import annotations

from collections.abc import Sequence

from hwaware.devices.link import Link
from hwaware.devices.output import one_line
from hwaware.errors import DeviceError

TIMEOUT_S = 30.0

# $HOME/.cache is the usual place; a board where that is read-only or noexec still has one of the others, of which any
# may be so as well. What lies in /dev/shm takes memory.
# `$HOME` at the start and `$UID` at the end are filled in on the device; the owner is checked, hence no S108.
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
SSH_CANDIDATES = (
    "$HOME/.cache/hwaware",
    *(f"{folder}/hwaware-$UID" for folder in _TEMPORARY),
    "/data/local/tmp/hwaware",
)
# What the shell user of an Android may write and run.
ADB_CANDIDATES = ("/data/local/tmp/hwaware",)

# The folder must be ours (-O) and not a link, for in /tmp anybody could have made it; the probe is executed,
# because a `noexec` mount takes files happily and only refuses to run them.
_CHOOSE = """
umask 077
user=$(id -u)
for wanted in "$@"; do
    case $wanted in
    '$HOME'/*) [ -n "$HOME" ] || continue; folder=$HOME${wanted#?HOME} ;;
    *'$UID') folder=${wanted%?UID}$user ;;
    *) folder=$wanted ;;
    esac
    case $folder in /*) ;; *) echo "$folder is not absolute" >&2; continue ;; esac
    probe=$folder/probe-$$
    if ! mkdir -p "$folder"; then continue; fi
    if [ -L "$folder" ] || [ ! -O "$folder" ]; then echo "$folder belongs to another user" >&2; continue; fi
    if echo 'exit 0' >"$probe" && chmod 700 "$probe" && "$probe"; then
        rm -f "$probe"
        printf '%s\\n' "$folder"
        exit 0
    fi
    rm -f "$probe"
done
exit 1
"""


def choose_cache(link: Link, candidates: Sequence[str]) -> str:
    """The absolute path of the folder, made if need be. Raises DeviceError with each candidate's reason."""
    done = link.run(["sh", "-c", _CHOOSE, "hwaware", *candidates], timeout=TIMEOUT_S)
    folder = done.stdout.removesuffix("\n")
    if done.returncode == 0 and folder.startswith("/") and folder.isprintable():
        return folder
    reasons = one_line(done.stderr, 600) or f"exit {done.returncode}"
    raise DeviceError(
        f"device {link.name}: no folder for hwaware's files there is writable and lets programs run "
        f"({reasons}); name "
        f"one with HWAWARE_REMOTE_CACHE=/FOLDER, or `cache` in devices.toml"
    )
