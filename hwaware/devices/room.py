"""Room in hwaware's folder on a device: uploads stay for the next time, the oldest go when they become too many.

What counts is the uploads and the work of a lease; `cache` may name a folder that holds other things as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from hwaware.devices.link import Link
from hwaware.devices.output import one_line
from hwaware.errors import DeviceError

VARIABLE = "HWAWARE_BOARD_CACHE"
DEFAULT_MIB = 512
_MIB = re.compile(r"[1-9][0-9]{0,8}")
_SCRIPT_S = 120.0

# $1: the folder, $2: its limit in KiB, $3: KiB to come, $4: the token of our lease if we have one; the other words are
# uploads that stay. Prints the KiB that there will be, and nothing where these cannot be told (a BusyBox without `du`).
# Each folder bears the time of its last use (see uploads.py). Another user's lease is looked for before each removal:
# that user may run any of the uploads.
_MAKE_ROOM = """
cd "$1" || exit 1
limit=$2 used=$3 token=$4 uploads=
shift 4
command -v du >/dev/null 2>&1 || exit 0
kib() { du -sk "$1" 2>/dev/null | { read -r size rest; echo "${size:-0}"; }; }
for name in $(ls -tr); do
    case $name in
    work-*) ;;
    *[!0-9a-f]*) continue ;;
    *) [ "${#name}" -eq 64 ] || continue ;;
    esac
    [ -d "$name" ] || continue
    used=$((used + $(kib "$name")))
    case $name in work-*) ;; *) uploads="$uploads $name" ;; esac
done
for name in $uploads; do
    [ "$used" -gt "$limit" ] || break
    held=
    if [ -d lease ]; then
        { read -r held <lease/token; } 2>/dev/null
        if [ -z "$held" ] || [ "$held" != "$token" ]; then exit 0; fi
    fi
    for kept in "$@"; do [ "$name" != "$kept" ] || continue 2; done
    size=$(kib "$name")
    rm -rf "$name" && used=$((used - size))
done
printf '%s\\n' "$used"
"""


def cache_limit() -> int:
    """Bytes that hwaware's folder on a device may take: $HWAWARE_BOARD_CACHE, in MiB. Raises DeviceError."""
    chosen = os.environ.get(VARIABLE)
    if chosen and not _MIB.fullmatch(chosen):
        raise DeviceError(f"{VARIABLE}={one_line(chosen, 40)!r} is no number of MiB; write for example {VARIABLE}=256")
    return int(chosen or DEFAULT_MIB) << 20


def make_room(link: Link, cache: str, name: str, size: int, *, token: str, keep: Iterable[str]) -> None:
    """Remove the uploads whose last use is longest ago until `size` bytes for `name` fit below the limit.

    `keep` are uploads that the caller still needs, `token` is that of its lease, empty without one. Nothing is removed
    while another user holds the device. Raises DeviceError where what is in use leaves too little room.
    """
    limit = cache_limit()
    words = (cache, str(limit >> 10), str(-(-size >> 10)), token, *sorted(keep))
    done = link.run(["sh", "-c", _MAKE_ROOM, "hwaware", *words], timeout=_SCRIPT_S)
    if done.returncode != 0:
        reason = one_line(done.stderr) or f"exit {done.returncode}"
        raise DeviceError(f"device {link.name}: cannot make room in {cache}: {reason}")
    total = done.stdout.strip()
    if total.isdecimal() and len(total) < 19 and int(total) << 10 > limit:
        raise DeviceError(
            f"device {link.name}: no room for {one_line(name)}: it takes {size / (1 << 20):.1f} MiB, with what is in "
            f"use {int(total) / 1024:.1f} MiB, and hwaware's folder there may take {limit >> 20}; allow it more with "
            f"{VARIABLE}=MIB"
        )
