"""Android's fixed performance mode: clocks that can be held for long, switched on while measuring and off again.

The mode outlasts the connection, so a watcher is left on the device before it is switched on. It switches the mode
off once the lease has ended or lost its heartbeat, unless that has been done. The file ``CACHE/undo-TOKEN`` says that
there is something to undo; who renames or removes it does it, so that an old watcher never undoes what another user
has just switched on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hwaware.devices.device import Device
from hwaware.devices.lease import STALE_S
from hwaware.devices.output import one_line
from hwaware.errors import DeviceError

FIRST_API = 30
WATCH_S = 5.0  # one fork every five seconds: nothing a measurement would notice
_SWITCH_S = 60.0
_COMMAND = "cmd power set-fixed-performance-mode-enabled"

# $1 hwaware's folder, $2 the lease's folder in it, $3 seconds after which a heartbeat is old, $4 seconds between looks.
_WATCH = f"""
claim=$1/undo-${{2##*/work-}}
while sleep "$4"; do
    [ -e "$claim" ] || exit 0
    beat=
    {{ read -r boot beat <"$1/lease/heartbeat"; }} 2>/dev/null
    {{ read -r up rest </proc/uptime; }} 2>/dev/null || up=$(date +%s)
    case $beat in '' | *[!0-9]*) beat=0 ;; esac
    [ -d "$2" ] && [ "$((${{up%%.*}} - beat))" -le "$3" ] && continue
    mv "$claim" "$claim.now" || exit 0
    {_COMMAND} false
    rm -f "$claim.now"
    exit 0
done
"""
# $1 to $4 as above, $5 the watcher. What earlier users left to undo is taken over; a watcher that is undoing it just
# now is waited for.
_SWITCH_ON = f"""
command -v setsid >/dev/null 2>&1 || {{ echo 'refused it has no setsid'; exit 0; }}
for old in "$1"/undo-*; do
    old=${{old%.now}}
    if mv "$old" "$old.taken" 2>/dev/null; then rm -f "$old.taken"; continue; fi
    tries=0
    while [ -e "$old.now" ] && [ "$tries" -lt 10 ]; do sleep 1; tries=$((tries + 1)); done
    rm -f "$old.now"
done
claim=$1/undo-${{2##*/work-}}
: >"$claim" || exit 1
setsid sh -c "$5" hwaware-watcher "$1" "$2" "$3" "$4" </dev/null >/dev/null 2>&1 &
if said=$({_COMMAND} true 2>&1); then echo on; exit 0; fi
rm -f "$claim"
printf 'refused %s\\n' "$said"
"""
_SWITCH_OFF = f"""
{_COMMAND} false || exit
rm -f "$1/undo-${{2##*/work-}}"
"""


@dataclass(frozen=True)
class FixedPerformance:
    """Whether the mode is on, and why not."""

    on: bool
    reason: str | None = None


@contextmanager
def fixed_performance(device: Device, api: int) -> Iterator[FixedPerformance]:
    """The mode on for as long as this lasts, where the device of API level `api` has it; needs the lease.

    Raises DeviceError if it cannot be switched off again.
    """
    if api < FIRST_API:
        yield FixedPerformance(False, f"Android 11 (API {FIRST_API}) has it, this is API {api}")
        return
    mode = None
    try:
        mode = _switch_on(device)
        yield mode
    except BaseException as error:
        # Also after an interrupted switching on, which may have succeeded on the device.
        if mode is None or mode.on:
            try:
                _switch_off(device)
            except DeviceError as failure:
                error.add_note(str(failure))
        raise
    if mode.on:
        _switch_off(device)


def _switch_on(device: Device) -> FixedPerformance:
    transport = device.transport
    words = (transport.cache, transport.work, f"{STALE_S:.0f}", f"{WATCH_S:g}", _WATCH)
    done = transport.run(["sh", "-c", _SWITCH_ON, "hwaware", *words], timeout=_SWITCH_S)
    answer, _, said = done.stdout.partition(" ")
    if done.returncode == 0 and answer == "on\n":
        return FixedPerformance(True)
    if done.returncode == 0 and answer == "refused":
        return FixedPerformance(False, one_line(said) or "the device refused it")
    reason = one_line(done.stderr) or f"exit {done.returncode}"
    raise DeviceError(f"device {device.name}: cannot prepare the fixed performance mode: {reason}")


def _switch_off(device: Device) -> None:
    transport = device.transport
    try:
        done = transport.run(["sh", "-c", _SWITCH_OFF, "hwaware", transport.cache, transport.work], timeout=_SWITCH_S)
        reason = one_line(done.stderr) or f"exit {done.returncode}"
    except DeviceError as error:
        raise _still_on(device, str(error)) from error
    if done.returncode != 0:
        raise _still_on(device, reason)


def _still_on(device: Device, reason: str) -> DeviceError:
    return DeviceError(
        f"device {device.name}: its fixed performance mode may be on for {STALE_S + WATCH_S:g} s more, or until "
        f"`adb -s {device.url.removeprefix('adb:')} shell {_COMMAND} false` is typed: {reason}"
    )
