"""What `hwaware devices show` says of a board with two kinds of cores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwaware.cli.device_rows import cluster_lines, fact_rows
from hwaware.cli.device_targets import device_targets
from hwaware.devices.facts import Cache, Cpu, DeviceFacts, ThermalZone
from hwaware.devices.gpu import Gpu


def cpu(number: int, core: str | None, max_khz: int | None, *, online: bool = True) -> Cpu:
    part = {"Cortex-A55": "0xd05", "Cortex-A76": "0xd0b"}.get(core or "")
    known = online and max_khz is not None
    return Cpu(
        id=number,
        online=online,
        capacity=None,
        max_khz=max_khz,
        cur_khz=408_000 if known else None,
        governor="ondemand" if known else None,
        scaling_min_khz=408_000 if known else None,
        scaling_max_khz=max_khz if known else None,
        part=part,
        core=core,
    )


ROCK = DeviceFacts(
    protocol=1,
    agent_sha256=None,
    arch="aarch64",
    kernel="6.1.75",
    machine_model="Radxa ROCK 5B",
    cpu_model="Cortex-A76",
    cpu_part="0xd0b",
    features=("fp", "asimd", "asimdhp", "asimddp"),
    cpus=(
        *(cpu(number, "Cortex-A55", 1_800_000) for number in range(4)),
        *(cpu(number, "Cortex-A76", 2_400_000) for number in range(4, 7)),
        cpu(7, None, None, online=False),
    ),
    caches=(Cache(1, "Data", 65536), Cache(1, "Instruction", 65536), Cache(2, "Unified", 524288)),
    memory_bytes=8 << 30,
    page_bytes=4096,
    load1=0.25,
    thermal=(ThermalZone("soc-thermal", 41_500),),
    os="Debian GNU/Linux 12 (bookworm)",
    libc=None,
    emulated=False,
    compatible=("radxa,rock-5b", "rockchip,rk3588"),
)


ORIN = Gpu(
    name="Orin",
    compute_capability="8.7",
    memory_bytes=16 << 30,
    integrated=True,
    multiprocessors=8,
    l2_bytes=4 << 20,
    max_khz=918_000,
    driver="540.4",
)


def rows(facts: DeviceFacts) -> dict[str, str]:
    return dict(fact_rows(facts))


def test_each_cluster_has_a_line() -> None:
    assert cluster_lines(ROCK) == [
        "little: 4 × Cortex-A55 up to 1800 MHz, cpus 0-3",
        "big: 3 × Cortex-A76 up to 2400 MHz, cpus 4-6",
        "1 offline, cpu 7",
    ]
    labels = [label for label, _ in fact_rows(ROCK)]
    assert labels[labels.index("cores") : labels.index("cores") + 4] == ["cores", "", "", "frequency"]


def test_the_rest_of_a_board() -> None:
    told = rows(ROCK)
    assert told["machine"] == "Radxa ROCK 5B"
    assert told["SoC"] == "rockchip,rk3588"
    assert told["system"] == "Debian GNU/Linux 12 (bookworm), kernel 6.1.75"
    assert told["frequency"] == (
        "cpus 0-3 at 408 MHz within 408 to 1800 MHz; cpus 4-6 at 408 MHz within 408 to 2400 MHz"
    )
    assert told["governor"] == "ondemand"
    assert told["arithmetic"] == "fp16, int8 dot products"
    assert told["caches"] == "L1 Data 64 KiB, L1 Instruction 64 KiB, L2 Unified 512 KiB"
    assert told["memory"] == "8.0 GiB, pages of 4096 bytes"
    assert told["temperature"] == "soc-thermal 42 °C"
    assert "power mode" not in told
    assert rows(replace(ROCK, power_mode="15W"))["power mode"] == "15W"


def test_a_machine_that_tells_little() -> None:
    alike = tuple(Cpu(number, True, None, None, None, None) for number in range(2))
    told = rows(replace(ROCK, cpus=alike, cpu_model="AMD EPYC", compatible=(), thermal=(), caches=(), features=()))
    assert told["cores"] == "2 × AMD EPYC, cpus 0-1"
    assert "SoC" not in told
    assert "arithmetic" not in told
    assert told["frequency"] == told["governor"] == told["caches"] == told["temperature"] == "unknown"


def test_a_gpu_has_a_line() -> None:
    assert "GPU" not in rows(ROCK)
    assert rows(replace(ROCK, gpu=ORIN))["GPU"] == (
        "Orin, compute capability 8.7, 8 multiprocessors up to 918 MHz, 16.0 GiB shared with the processor, "
        "driver 540.4"
    )


class Connected:
    """A device that only says what it is."""

    name = "board"

    def __init__(self, told: DeviceFacts) -> None:
        self._told = told

    def facts(self, _agent: object) -> DeviceFacts:
        return self._told


def test_code_is_named_for_each_unit() -> None:
    device: Any = Connected(replace(ROCK, gpu=ORIN))
    processor, graphics = device_targets(device, device.facts(None))
    assert processor[3].startswith("aarch64")
    assert graphics[2] is not None
    assert graphics[2]["arch"] == "sm_87"
    assert graphics[3].endswith("(--unit gpu)")
    odd: Any = Connected(replace(ROCK, arch="z80"))
    ((_, _, target, text),) = device_targets(odd, odd.facts(None))
    assert target is None
    assert text.startswith("none: ")
