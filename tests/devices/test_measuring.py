"""Androids are measured cool, charged, in their fixed performance mode, and left as they were."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from hwaware.devices.device import Device, open_device
from hwaware.devices.measuring import measuring_modes
from hwaware.errors import AgentError, DeviceError
from tests.adb.phone import Phone


def test_the_mode_is_on_while_measuring(android: Device, own_phone: Phone, own_cache: Path) -> None:
    with measuring_modes(android) as modes:
        assert own_phone.commands.switches == ["true"]
        modes.settle()
    assert own_phone.commands.switches == ["true", "false"]
    assert list(own_cache.iterdir()) == []
    assert modes.conditions == {
        "power_mode": "fixed-performance",
        "power_mode_reason": None,
        "android_fingerprint": "maker/phone/phone:13/TQ1A.230105/9325679:user/release-keys",
        "android_model": "Phone 7",
        "android_soc": "SOC201",
        "android_api": 33,
        "thermal_status": 0,
        "battery_percent": 80,
        "battery_milli_c": 28_500,
        "charging": True,
        "screen_on": True,
    }


@pytest.mark.parametrize("reason", [KeyboardInterrupt, ValueError])
def test_it_is_off_after_an_error(
    android: Device, own_phone: Phone, own_cache: Path, reason: type[BaseException]
) -> None:
    with pytest.raises(reason), measuring_modes(android):
        raise reason
    assert own_phone.commands.switches == ["true", "false"]
    assert list(own_cache.iterdir()) == []


def test_inside_another_it_is_the_same(android: Device, own_phone: Phone) -> None:
    with measuring_modes(android) as outer:
        with measuring_modes(android) as inner:
            assert inner is outer
        assert own_phone.commands.switches == ["true"]
    with measuring_modes(android):
        assert own_phone.commands.switches == ["true", "false", "true"]


def test_as_shipped_leaves_the_clocks_alone(android: Device, own_phone: Phone) -> None:
    with measuring_modes(android, fixed=False) as modes:
        assert modes.conditions["power_mode"] is None
        assert "protocol" in modes.conditions["power_mode_reason"]
    assert own_phone.commands.switches == []


def test_a_phone_without_the_mode_says_so(android: Device, own_phone: Phone, own_cache: Path) -> None:
    own_phone.commands.refuse_fixed_performance()
    with measuring_modes(android) as modes:
        assert modes.conditions["power_mode"] is None
        assert modes.conditions["power_mode_reason"] == "Failed to set FIXED_PERFORMANCE mode"
    assert list(own_cache.iterdir()) == []


def test_an_android_from_before_the_mode(android: Device, own_phone: Phone) -> None:
    own_phone.commands.set_property("ro.build.version.sdk", "28")
    own_phone.commands.set_property("ro.soc.model", "")
    own_phone.commands.set_dump("thermalservice", "Can't find service: thermalservice\n")
    with measuring_modes(android) as modes:
        assert modes.conditions["power_mode_reason"] == "Android 11 (API 30) has it, this is API 28"
        assert modes.conditions["thermal_status"] is None
        assert modes.conditions["android_soc"] is None
    assert own_phone.commands.switches == []


def test_what_is_no_android_has_no_modes(android: Device, own_phone: Phone) -> None:
    (own_phone.commands.bin / "getprop").unlink()
    with measuring_modes(android) as modes:
        assert modes.conditions == {}
        modes.settle()


def test_this_machine_has_none_either() -> None:
    with open_device("local") as device, measuring_modes(device) as modes:
        assert modes.conditions == {}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"level": 24}, "its battery is at 24 %, and below 25 % it may save power; charge it"),
        ({"celsius": 40.1}, "its battery has 40.1 °C, more than 40; take it off the charger"),
    ],
)
def test_a_battery_in_no_state_to_measure(
    android: Device, own_phone: Phone, state: dict[str, float], said: str
) -> None:
    own_phone.commands.set_battery(**state)
    with pytest.raises(DeviceError, match=said), measuring_modes(android):
        pass
    assert own_phone.commands.switches == []


def test_a_board_without_a_battery(android: Device, own_phone: Phone) -> None:
    own_phone.commands.set_dump("battery", "Current Battery Service state:\n  present: false\n  level: 0\n")
    own_phone.commands.set_dump("power", "nothing that is known\n")
    with measuring_modes(android) as modes:
        assert modes.conditions["battery_percent"] is None
        assert modes.conditions["screen_on"] is None


@pytest.mark.usefixtures("quick")
def test_a_throttled_phone_is_waited_for(android: Device, own_phone: Phone) -> None:
    told: list[str] = []
    own_phone.commands.set_thermal(2)
    timer = threading.Timer(1.5, own_phone.commands.set_thermal, [0])
    timer.start()
    started = time.monotonic()
    with measuring_modes(android, on_wait=told.append) as modes:
        assert time.monotonic() - started > 1.0
        assert modes.conditions["thermal_status"] == 0
    timer.join()
    assert len(told) == 1
    assert told[0].startswith("device board is throttled (thermal status 2, moderate); waiting up to ")


@pytest.mark.usefixtures("quick")
def test_one_that_stays_throttled_is_refused(android: Device, own_phone: Phone) -> None:
    with measuring_modes(android, cool_s=1.0) as modes:
        own_phone.commands.set_thermal(6)
        with pytest.raises(DeviceError, match=r"thermal status 6, shutdown\) even after 1 s; take it off"):
            modes.settle()
    assert own_phone.commands.switches == ["true", "false"]


HOSTILE = ["", "\n", "\x1b[2J", "9" * 100_000, "level: 9\nscale: 5\ntemperature: 1\n", "Thermal Status: 999\n"]


@pytest.mark.parametrize("service", ["battery", "thermalservice"])
@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_understood_is_one_line(android: Device, own_phone: Phone, service: str, text: str) -> None:
    own_phone.commands.set_dump(service, text)
    with pytest.raises(AgentError, match=f"`dumpsys {service}` answered what") as caught, measuring_modes(android):
        pass
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ro.build.version.sdk", "30; reboot"),
        ("ro.build.version.sdk", ""),
        ("ro.build.version.sdk", "٣٠"),
        ("ro.product.model", "two\nlines"),
        ("ro.product.model", "\x1b[2J"),
        ("ro.build.fingerprint", "x" * 300),
    ],
)
def test_odd_properties_are_refused(android: Device, own_phone: Phone, name: str, value: str) -> None:
    own_phone.commands.set_property(name, value)
    with pytest.raises(AgentError, match="its `getprop` answered") as caught, measuring_modes(android):
        pass
    assert str(caught.value).isprintable()
