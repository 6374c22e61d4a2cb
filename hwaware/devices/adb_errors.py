"""Why a device cannot be used over ADB: one line each, with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hwaware.devices.output import one_line
from hwaware.errors import DeviceError

# What `adb devices` lists: serials, of which cheap devices share one, and states.
Attached = Sequence[tuple[str, str]]

READY = "device"
# These end by themselves within seconds of plugging in, connecting or starting the server.
PASSING = frozenset({"authorizing", "connecting", "offline"})

AGAIN = "then run the same command again"
_FORBIDDEN = "no permissions"
_UDEV = (
    "install the rules for USB ports with `apt-get install android-sdk-platform-tools-common` and plug it in anew, "
    f"{AGAIN}"
)
_ALLOW = f'has not allowed this computer yet; unlock it and accept "Allow USB debugging", {AGAIN}'
_STATES = {
    "authorizing": _ALLOW,
    "unauthorized": _ALLOW,
    "connecting": f"is still connecting; wait a moment, {AGAIN}",
    "offline": f"does not answer (offline); plug it in anew or type `adb reconnect offline`, {AGAIN}",
}
_NETWORK = re.compile(r"[^:]+:[0-9]{1,5}")
_MOST_LISTED = 8


def not_installed(name: str) -> DeviceError:
    """The error of a machine without the `adb` program."""
    return DeviceError(f"device {name}: adb is not installed here; `hwaware doctor` tells the command that installs it")


def server_failed(name: str, said: str) -> DeviceError:
    """The error of an adb server that does not start or answer; `said` are adb's last words."""
    reason = one_line(said) or "adb said nothing"
    return DeviceError(
        f"device {name}: the adb server does not work: {reason}; end what holds its port (`adb kill-server` ends an "
        f"old server), or choose another port with ANDROID_ADB_SERVER_PORT, {AGAIN}"
    )


def unusable(name: str, serial: str, attached: Attached) -> DeviceError:
    """The error of a device that is not READY, or not the one device of its serial among the `attached`."""
    states = [state for other, state in attached if other == serial]
    if not states:
        return _absent(name, serial, attached)
    if len(states) > 1:
        return DeviceError(f"device {name}: adb sees {len(states)} devices {serial}; unplug all but one, {AGAIN}")
    state = states[0]
    if state.startswith(_FORBIDDEN):
        return DeviceError(f"device {name}: this user may not open {serial} ({_FORBIDDEN}); {_UDEV}")
    if state in _STATES:
        return DeviceError(f"device {name}: {serial} {_STATES[state]}")
    return DeviceError(
        f"device {name}: {serial} does not run Android now ({one_line(state, 60)}); start it with "
        f"`adb -s {serial} reboot`, {AGAIN}"
    )


def _absent(name: str, serial: str, attached: Attached) -> DeviceError:
    seen = [f"{one_line(other, 60)} ({_short(state)})" for other, state in attached]
    if _NETWORK.fullmatch(serial):
        advice = f"connect it with `adb connect {serial}`, {AGAIN}"
    elif any(state.startswith(_FORBIDDEN) for _, state in attached):
        advice = _UDEV  # of such a device adb may not even know the serial
    else:
        advice = f"check its cable and that USB debugging is on, {AGAIN}"
    listed = ", ".join(seen[:_MOST_LISTED]) or "none"
    return DeviceError(f"device {name}: adb sees no device {serial} (attached: {listed}); {advice}")


def _short(state: str) -> str:
    """A state without the explanation that adb adds to some."""
    return one_line(re.split("[(;]", state)[0], 60)
