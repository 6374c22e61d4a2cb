"""Device facts: the real agent's answer, and every way a device could lie about its form."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.devices.device import Device, open_device
from hwaware.devices.facts import DeviceFacts
from hwaware.devices.uploads import sha256_of
from hwaware.errors import AgentError, DeviceError
from tests.devices.conftest import add_board
from tests.sshd import Sshd

PI = {
    "type": "info",
    "protocol": 1,
    "agent_sha256": None,
    "arch": "aarch64",
    "kernel": "6.1.0",
    "machine_model": "Raspberry Pi 4 Model B Rev 1.4",
    "cpu_model": "Cortex-A72",
    "cpu_part": "0xd08",
    "features": ["fp", "asimd"],
    "cpus": [
        {
            "id": 0,
            "online": True,
            "capacity": None,
            "max_khz": 1800000,
            "cur_khz": 600000,
            "governor": "ondemand",
            "scaling_min_khz": 600000,
            "scaling_max_khz": 1800000,
            "part": "0xd08",
            "core": "Cortex-A72",
        }
    ],
    "caches": [{"level": 1, "type": "Data", "bytes": 32768}],
    "memory_bytes": 3981352960,
    "page_bytes": 4096,
    "load1": 0.5,
    "thermal": [{"type": "cpu-thermal", "milli_c": 45000}],
    "os": "Debian GNU/Linux 12",
    "libc": None,
    "emulated": False,
    "compatible": ["raspberrypi,4-model-b", "brcm,bcm2711"],
    "power_mode": None,
}

# What agents of earlier versions do not tell, of the device and of each cpu.
LATER = {"compatible", "power_mode"}
LATER_OF_A_CPU = {"scaling_min_khz", "scaling_max_khz", "part", "core"}
COST_TABLES = Path(__file__).parents[2] / "cost_tables"


@pytest.fixture(params=["local", "ssh"])
def device(request: pytest.FixtureRequest, sshd: Sshd, devices_home: Path) -> Iterator[Device]:
    add_board(sshd)
    device = open_device("board" if request.param == "ssh" else "local")
    yield device
    device.close()


def test_the_real_agent_is_understood(device: Device, agent: Path) -> None:
    asked: list[str] = []

    def build(machine: str) -> Path:
        asked.append(machine)
        return agent

    facts = device.facts(build)
    assert device.facts(build) is facts
    assert asked == [platform.machine()]
    assert facts.arch == platform.machine()
    assert facts.agent_sha256 == sha256_of(agent)
    assert facts.kernel == platform.release()
    assert len(facts.cpus) >= 1
    assert facts.memory_bytes > 1 << 27
    assert DeviceFacts.from_dict(facts.as_dict(), "copy") == facts


def test_local_and_ssh_are_the_same_machine(sshd: Sshd, agent: Path, devices_home: Path) -> None:
    add_board(sshd)
    with open_device("local") as local, open_device("board") as board:
        assert board.facts(lambda machine: agent).fingerprint() == local.facts(lambda machine: agent).fingerprint()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo broken >&2; exit 3", "ended with status 3, it said: broken"),
        ("echo Welcome", "no JSON document"),
        ("echo '[1]'", "not a JSON object"),
        ("head -c 100000 /dev/zero | tr '\\0' '['", "no JSON document"),
        ("echo '{}'", "the field protocol is missing"),
        ("""echo '{"protocol": 7}'""", "speaks protocol 7"),
    ],
)
def test_an_agent_that_is_none(device: Device, tmp_path: Path, script: str, said: str) -> None:
    program = tmp_path / "agent"
    program.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(AgentError, match=said) as caught:
        device.facts(lambda machine: program)
    assert device.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_agent_for_another_machine(device: Device, tmp_path: Path) -> None:
    program = tmp_path / "agent"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(200))
    with pytest.raises(DeviceError, match="agent"):
        device.facts(lambda machine: program)


def test_a_document_comes_back_as_it_was() -> None:
    assert DeviceFacts.from_json(json.dumps(PI), "pi4").as_dict() == PI


def test_unknown_fields_are_ignored() -> None:
    assert DeviceFacts.from_dict(PI | {"later": [1]}, "pi4").as_dict() == PI


def test_an_agent_of_an_earlier_version_still_answers() -> None:
    older = {key: value for key, value in PI.items() if key not in LATER}
    (cpu,) = PI["cpus"]  # type: ignore[misc]
    older["cpus"] = [{key: value for key, value in cpu.items() if key not in LATER_OF_A_CPU}]
    facts = DeviceFacts.from_dict(older, "pi4")
    assert (facts.compatible, facts.soc, facts.power_mode) == ((), None, None)
    assert (facts.cpus[0].core, facts.cpus[0].scaling_max_khz) == (None, None)
    now = DeviceFacts.from_dict(PI, "pi4")
    assert now.soc == "brcm,bcm2711"
    assert now.fingerprint() == facts.fingerprint()


@pytest.mark.parametrize("table", sorted(COST_TABLES.glob("*/table.json")), ids=lambda path: path.parent.name)
def test_the_tables_here_are_still_of_their_device(table: Path) -> None:
    document = json.loads(table.read_text())
    assert DeviceFacts.from_dict(document["facts"], table.parent.name).fingerprint() == document["fingerprint"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("arch", None),
        ("arch", "x86 64"),
        ("arch", ""),
        ("kernel", 6),
        ("kernel", "\x1b[2J"),
        ("machine_model", "x" * 257),
        ("agent_sha256", "abc"),
        ("features", "fp"),
        ("features", [1]),
        ("features", ["x"] * 4097),
        ("cpus", []),
        ("cpus", [3]),
        ("cpus", [{"id": 0}]),
        ("cpus", [PI["cpus"][0] | {"online": 1}]),  # type: ignore[index]
        ("cpus", [PI["cpus"][0] | {"id": True}]),  # type: ignore[index]
        ("memory_bytes", 0),
        ("memory_bytes", -1),
        ("memory_bytes", 1 << 63),
        ("memory_bytes", 4.0),
        ("load1", float("nan")),
        ("load1", float("inf")),
        ("load1", "0.5"),
        pytest.param("load1", 10**400, id="load1-huge"),
        ("thermal", [{"type": "cpu", "milli_c": None}]),
        ("thermal", {}),
        ("compatible", "brcm,bcm2711"),
        ("compatible", [""]),
        ("power_mode", 15),
        ("cpus", [PI["cpus"][0] | {"core": 3}]),  # type: ignore[index]
        ("cpus", [PI["cpus"][0] | {"scaling_max_khz": -1}]),  # type: ignore[index]
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(AgentError, match=f"pi4: .*{field}"):
        DeviceFacts.from_dict(PI | {field: value}, "pi4")


@pytest.mark.parametrize("field", sorted(PI.keys() - {"type", *LATER}))
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(AgentError, match=f"the field {field} is missing"):
        DeviceFacts.from_dict({key: value for key, value in PI.items() if key != field}, "pi4")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(field=st.sampled_from(sorted(PI)), value=json_values)
def test_any_value_is_understood_or_refused(field: str, value: Any) -> None:
    try:
        facts = DeviceFacts.from_dict(PI | {field: value}, "pi4")
    except AgentError:
        return
    assert DeviceFacts.from_dict(facts.as_dict(), "pi4") == facts


def _sha(**changes: Any) -> str:
    return str(DeviceFacts.from_dict(PI | changes, "pi4").fingerprint()["sha256"])


@pytest.mark.parametrize(
    "change",
    [
        {"load1": 9.0},
        {"thermal": []},
        {"kernel": "6.6.1"},
        {"memory_bytes": 3_900_000_000},
        {"features": ["asimd", "fp"]},
        {"cpus": [PI["cpus"][0] | {"cur_khz": 1, "governor": "performance"}]},  # type: ignore[index]
    ],
)
def test_the_fingerprint_does_not_change_with_the_moment(change: dict[str, Any]) -> None:
    assert _sha(**change) == _sha()


@pytest.mark.parametrize(
    "change",
    [
        {"arch": "armv7l"},
        {"cpu_part": "0xd0b"},
        {"machine_model": "Raspberry Pi 5"},
        {"features": ["fp"]},
        {"memory_bytes": 8 << 30},
        {"cpus": PI["cpus"] * 2},  # type: ignore[operator]
    ],
)
def test_the_fingerprint_tells_devices_apart(change: dict[str, Any]) -> None:
    assert _sha(**change) != _sha()


def test_the_answer_of_uname_is_checked(start: Callable[..., Sshd], devices_home: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uname").write_text("#!/bin/sh\necho '../../etc'\n")
    (tools / "uname").chmod(0o755)
    add_board(start({"PATH": f"{tools}:/usr/bin:/bin"}))
    with open_device("board") as device, pytest.raises(AgentError, match=r"answered '\.\./\.\./etc'"):
        device.machine()
