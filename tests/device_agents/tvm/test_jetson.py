"""What a Jetson's own tools print, of boards old and new."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from device_agents.tvm.jetson import Tegrastats, parse_mode, power_mode, summary
from tests.device_agents.tvm.tools import Tools

ORIN = (
    "11-20-2025 10:00:00 RAM 2448/7620MB (lfb 3x4MB) SWAP 0/3810MB (cached 0MB) CPU [5%@1510,0%@1510,off,off] "
    "EMC_FREQ 2%@2133 GR3D_FREQ 41%@[624] NVDEC off VIC off OFA off APE 200 cpu@45.5C soc2@44.906C gpu@46.1C "
    "tj@46.1C VDD_IN 4721mW/4698mW VDD_CPU_GPU_CV 655mW/648mW VDD_SOC 1392mW/1388mW"
)
LATER = ORIN.replace("41%", "43%").replace("4721mW", "4821mW").replace("gpu@46.1C", "gpu@47.1C")
NANO = (
    "RAM 1903/3964MB (lfb 127x4MB) SWAP 0/1982MB (cached 0MB) CPU [21%@102,13%@102,off,off] EMC_FREQ 0% GR3D_FREQ 7% "
    "PLL@30C CPU@32.5C PMIC@100C GPU@-1.5C AO@38.5C thermal@32C POM_5V_IN 1566/1566 POM_5V_GPU 0/0 POM_5V_CPU 201/201"
)


def test_the_means_of_some_lines() -> None:
    assert summary([ORIN, LATER]) == {
        "lines": 2,
        "celsius_cpu": 45.5,
        "celsius_gpu": 46.6,
        "celsius_soc2": 44.9,
        "celsius_tj": 46.1,
        "emc_percent": 2.0,
        "gr3d_mhz": 624.0,
        "gr3d_percent": 42.0,
        "milliwatts_vdd_cpu_gpu_cv": 655.0,
        "milliwatts_vdd_in": 4771.0,
        "milliwatts_vdd_soc": 1392.0,
        "ram_mib": 2448.0,
    }


def test_an_older_board_tells_less() -> None:
    found = summary([NANO])
    assert found is not None
    assert "gr3d_mhz" not in found
    assert (found["gr3d_percent"], found["emc_percent"], found["ram_mib"]) == (7.0, 0.0, 1903.0)
    assert (found["celsius_gpu"], found["celsius_pmic"], found["milliwatts_pom_5v_in"]) == (-1.5, 100.0, 1566.0)


@pytest.mark.parametrize("lines", [[], [""], ["tegrastats: cannot open /dev/nvmap", "RAM ?/?MB gpu@C"]])
def test_nothing_of_use_is_nothing(lines: list[str]) -> None:
    assert summary(lines) is None


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MAXN\n0\n", "MAXN"),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: 15W\n2\n", "15W"),
        ("NV Power Mode:  MODE_30W_ALL \n3\n", "MODE_30W_ALL"),
        ("", None),
        ("NV Power Mode:\n", None),
    ],
)
def test_the_power_mode(text: str, mode: str | None) -> None:
    assert parse_mode(text) == mode


def test_the_tools_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = Tools(tmp_path / "tools")
    monkeypatch.setenv("PATH", tools.path)
    monkeypatch.setattr("device_agents.tvm.jetson.PLACES", str(tools.folder))
    assert power_mode() is None
    assert Tegrastats().end() is None
    tools.add("nvpmodel", '[ "$1" = -q ] && echo "NV Power Mode: 7W"\n')
    tools.add("tegrastats", f'while :; do echo "{NANO}"; touch "{tools.folder}/started"; sleep 0.05; done\n')
    assert power_mode() == "7W"
    running = Tegrastats()
    deadline = time.monotonic() + 20
    while not (tools.folder / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    found = running.end()
    assert found is not None
    assert found["ram_mib"] == 1903.0
