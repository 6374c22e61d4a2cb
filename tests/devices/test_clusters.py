"""Clusters of like cores, by facts of real chips, and which of them a user's word means."""

from __future__ import annotations

from typing import Any

import pytest

from hwaware.devices.clusters import FASTEST, Cores, chosen_cores, clusters, cpu_list, every_cores
from hwaware.devices.facts import DeviceFacts
from hwaware.errors import DeviceError


def chip(*groups: tuple[int, str, int | None, int | None], offline: tuple[int, ...] = ()) -> DeviceFacts:
    """Facts of a chip with `groups` of (count, core, capacity, kHz)."""
    cpus: list[dict[str, Any]] = []
    for count, core, capacity, khz in groups:
        cpus += [
            {
                "id": len(cpus) + index,
                "online": len(cpus) + index not in offline,
                "capacity": capacity,
                "max_khz": khz,
                "cur_khz": None,
                "governor": None,
                "core": core,
            }
            for index in range(count)
        ]
    document = {
        "protocol": 1,
        "agent_sha256": None,
        "arch": "aarch64",
        "kernel": "6.1",
        "machine_model": None,
        "cpu_model": None,
        "cpu_part": None,
        "features": [],
        "cpus": cpus,
        "caches": [],
        "memory_bytes": 1 << 32,
        "page_bytes": 4096,
        "load1": 0.0,
        "thermal": [],
        "os": None,
        "libc": None,
        "emulated": False,
    }
    return DeviceFacts.from_dict(document, "test")


PI5 = chip((4, "Cortex-A76", None, 2_400_000))
# Little cores first, as phones number them.
SNAPDRAGON_888 = chip(
    (4, "Cortex-A55", 325, 1_804_800), (3, "Cortex-A78", 871, 2_419_200), (1, "Cortex-X1", 1024, 2_841_600)
)
HIKEY_960 = chip((4, "Cortex-A53", 462, 1_844_000), (4, "Cortex-A73", 1024, 2_362_000))


def test_like_cores_are_one_cluster() -> None:
    (only,) = clusters(PI5)
    assert (only.name, only.cpus, only.text) == ("all", (0, 1, 2, 3), "4 × Cortex-A76 up to 2400 MHz, cpus 0-3")


def test_clusters_come_fastest_first() -> None:
    assert [(one.name, one.core, one.cpus) for one in clusters(SNAPDRAGON_888)] == [
        ("big", "Cortex-X1", (7,)),
        ("middle", "Cortex-A78", (4, 5, 6)),
        ("little", "Cortex-A55", (0, 1, 2, 3)),
    ]
    assert [one.name for one in clusters(HIKEY_960)] == ["big", "little"]


def test_favoured_cores_stay_with_the_others() -> None:
    assert len(clusters(chip((2, "x", None, 5_000_000), (6, "x", None, 4_800_000)))) == 1


def test_cores_that_are_offline_do_not_count() -> None:
    facts = chip((2, "a", 1024, None), (2, "b", 400, None), offline=(0, 1))
    assert [one.cpus for one in clusters(facts)] == [(2, 3)]


@pytest.mark.parametrize(
    ("word", "threads", "cores"),
    [
        (None, 1, FASTEST),
        ("big", 1, FASTEST),
        ("cortex-x1", 1, FASTEST),
        ("7", 1, FASTEST),
        ("middle", 1, Cores("middle", (4, 5, 6))),
        ("Cortex-A55", 4, FASTEST),
        # The agent takes these by itself for three threads, as there is one big core only.
        ("middle", 3, FASTEST),
        ("LITTLE", 2, Cores("little", (0, 1, 2, 3))),
        ("Cortex-A55", 3, Cores("little", (0, 1, 2, 3))),
        ("0-3", 1, Cores("little", (0, 1, 2, 3))),
        ("3,0-2", 1, Cores("little", (0, 1, 2, 3))),
        ("0,4", 2, Cores("cpus 0,4", (0, 4))),
        ("5", 1, Cores("cpu 5", (5,))),
    ],
)
def test_a_word_names_cores(word: str | None, threads: int, cores: Cores) -> None:
    assert chosen_cores(SNAPDRAGON_888, word, threads, "phone") == cores


@pytest.mark.parametrize(
    ("word", "threads", "said"),
    [
        ("huge", 1, r"no cluster of cores 'huge': choose one of big: 1 × Cortex-X1 up to 2842 MHz, cpu 7; middle"),
        ("big", 2, r"2 threads asked, but the big cores of device phone are 1"),
        ("0-1", 3, r"3 threads asked, but '0-1' are 2"),
        ("6-9", 1, r"cpus 8-9 of '6-9' not online; it has cpus 0-7"),
        ("3-1", 1, r"'3-1' is no list of cpus"),
        ("0,0", 1, r"a cpu twice in '0,0'"),
        ("0-9999", 1, r"'0-9999' is no list of cpus"),
        ("0;reboot", 1, r"no cluster of cores '0;reboot'"),
    ],
)
def test_words_that_name_none(word: str, threads: int, said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        chosen_cores(SNAPDRAGON_888, word, threads, "phone")


def test_each_cluster_with_enough_cores() -> None:
    assert list(every_cores(SNAPDRAGON_888, 1, "phone")) == ["big", "middle", "little"]
    assert every_cores(SNAPDRAGON_888, 3, "phone") == {"middle": FASTEST, "little": Cores("little", (0, 1, 2, 3))}
    with pytest.raises(DeviceError, match="no cluster of 5 cores"):
        every_cores(SNAPDRAGON_888, 5, "phone")


def test_the_agents_options() -> None:
    assert FASTEST.arguments() == []
    assert Cores("little", (0, 1, 2, 3)).arguments() == ["--cpu", "0,1,2,3"]


@pytest.mark.parametrize(
    ("ids", "words"), [((3,), "cpu 3"), ((0, 1, 2, 6), "cpus 0-2,6"), ((5, 4, 0, 2), "cpus 0,2,4-5")]
)
def test_cpus_as_the_kernel_lists_them(ids: tuple[int, ...], words: str) -> None:
    assert cpu_list(ids) == words
