"""Device URLs: what is understood, and that nothing odd gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.devices.address import AdbAddress, LocalAddress, SshAddress, parse_address
from hwaware.errors import DeviceError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("local", LocalAddress()),
        ("ssh://pi@raspberrypi.local", SshAddress("pi", "raspberrypi.local")),
        ("ssh://pi@Board-7:2222", SshAddress("pi", "board-7", 2222)),
        ("ssh://pi@10.0.0.7/", SshAddress("pi", "10.0.0.7")),
        ("ssh://a.b_c-d@[FE80::1]:22", SshAddress("a.b_c-d", "fe80::1", 22)),
        ("ssh://pi@[fe80::1%eth0]", SshAddress("pi", "fe80::1%eth0")),
        ("ssh://Pi4", SshAddress(None, "pi4")),
        ("ssh://[::1]:2222", SshAddress(None, "::1", 2222)),
        ("adb:emulator-5554", AdbAddress("emulator-5554")),
        ("adb:192.168.0.7:5555", AdbAddress("192.168.0.7:5555")),
    ],
)
def test_what_is_understood(url: str, address: object) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "form is unknown"),
        ("board", "form is unknown"),
        ("http://pi@board", "form is unknown"),
        ("LOCAL", "form is unknown"),
        ("ssh://@board", "not a login name"),
        ("ssh://-oProxyCommand=id@board", "not a login name"),
        ("ssh://pi@-oProxyCommand=id", "not a host name"),
        ("ssh://pi@", "not a host name"),
        ("ssh://pi@a..b", "not a host name"),
        ("ssh://pi@bo ard", "not a host name"),
        ("ssh://pi@board\n", "not a host name"),
        ("ssh://pi@[1.2.3.4]", "not an IPv6 address"),
        ("ssh://pi@[::1%-x y]", "not an interface name"),
        ("ssh://pi@board:0", "from 1 to 65535"),
        ("ssh://pi@board:65536", "from 1 to 65535"),
        ("ssh://pi@board:２２", "from 1 to 65535"),
        ("ssh://pi@board:", "from 1 to 65535"),
        ("ssh://pi@board/folder", "parts beyond"),
        ("ssh://pi@board?x=1", "not a host name"),
        ("ssh://pi:secret@board", "no password"),
        ("adb:", "serial number"),
        ("adb:-s", "serial number"),
        ("adb:a b", "serial number"),
    ],
)
def test_what_is_refused(url: str, reason: str) -> None:
    with pytest.raises(DeviceError, match=reason) as caught:
        parse_address(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60) | st.text(max_size=40).map("ssh://u@{}".format))
def test_nothing_odd_gets_through(url: str) -> None:
    try:
        address = parse_address(url)
    except DeviceError:
        return
    if isinstance(address, SshAddress):
        for part in (address.user or "none", address.host):
            assert part
            assert part[0] not in "-/"
            assert not set(part) & set(" \t\n\0'\"`$;&|<>()\\")
        assert parse_address(f"ssh://{address}") == address
