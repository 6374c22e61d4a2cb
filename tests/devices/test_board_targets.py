"""Which code real boards get, from what their /proc/cpuinfo says as the agent reads it.

The features are those of github.com/hrw/arm-socs-table (issues 6, 28, 96, 91, 25, 63, 133), of doorpi's issue 42, and
for Jetson Orin of lix19937/tensorrt-insight's issue 26.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hwaware.compiler.targets import Target, plain_target, target_for
from hwaware.errors import BuildError
from tests.device_agents.test_processor import build_reader, reading

# A first use of a target builds its C library.
pytestmark = pytest.mark.timeout(600)

ARM = "0x41"
NVIDIA = "0x4e"
V8 = "fp asimd evtstrm crc32 cpuid"
V8_CRYPTO = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
V8_2 = f"{V8_CRYPTO.removesuffix(' cpuid')} atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
V9_2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 sm3 "
    "sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp sve2 sveaes svepmull svebitperm "
    "svesha3 svesm4 flagm2 frint svei8mm svebf16 i8mm bf16 dgh bti ecv afp wfxt"
)
V7 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm"


@dataclass(frozen=True)
class Board:
    """`uname` is what its `uname -m` says; `cores` are implementer, part and capacity of each; `target` its code."""

    name: str
    uname: str
    features: str
    cores: tuple[tuple[str, str, int], ...]
    target: str

    @property
    def cpuinfo(self) -> str:
        stanzas = [
            f"processor\t: {cpu}\nBogoMIPS\t: 38.40\nFeatures\t: {self.features} \nCPU implementer\t: {implementer}\n"
            f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 4\n"
            for cpu, (implementer, part, _) in enumerate(self.cores)
        ]
        return "\n".join([*stanzas, "Hardware\t: BCM2835\nRevision\t: a02082\nModel\t\t: a board\n"])


def four(part: str) -> tuple[tuple[str, str, int], ...]:
    return ((ARM, part, 1024),) * 4


BOARDS = (
    Board("Raspberry Pi 3, 64 bit", "aarch64", V8, four("0xd03"), "aarch64-a53"),
    Board("Raspberry Pi 4, 64 bit", "aarch64", V8, four("0xd08"), "aarch64-a72"),
    # With 32-bit programs it still runs a static 64-bit one: the kernel decides, and `uname` tells of the kernel.
    Board("Raspberry Pi 4, 32-bit system on a 64-bit kernel", "aarch64", V8, four("0xd08"), "aarch64-a72"),
    Board("Raspberry Pi 5, 64 bit", "aarch64", V8_2, four("0xd0b"), "aarch64-a76"),
    Board("Raspberry Pi 2, 32 bit", "armv7l", V7, four("0xc07"), "armv7"),
    Board("Raspberry Pi 3, 32 bit", "armv7l", f"{V7} crc32", four("0xd03"), "armv7"),
    Board("Raspberry Pi 4, 32 bit", "armv7l", f"{V7} crc32", four("0xd08"), "armv7"),
    # As `linux32` and 32-bit containers show it.
    Board("Raspberry Pi 5, as 32 bit", "armv8l", f"{V7} aes crc32", four("0xd0b"), "armv7"),
    Board("Jetson Nano", "aarch64", V8_CRYPTO, four("0xd07"), "aarch64-a72"),
    # Denver cores beside those of ARM, which are the faster ones.
    Board(
        "Jetson TX2", "aarch64", V8_CRYPTO, ((ARM, "0xd07", 1024), (NVIDIA, "0x003", 900), (NVIDIA, "0x003", 900)),
        "aarch64-a72",
    ),
    Board("Jetson Xavier", "aarch64", f"{V8_CRYPTO} atomics fphp asimdhp", ((NVIDIA, "0x004", 1024),) * 8, "aarch64"),
    Board("Jetson Orin", "aarch64", f"{V8_2} uscat ilrcpc flagm", ((ARM, "0xd42", 1024),) * 12, "aarch64-a76"),
    # Little cores first, as on most chips; code for the big ones runs on them as well.
    Board("RK3588", "aarch64", V8_2, ((ARM, "0xd05", 530), (ARM, "0xd0b", 1024)), "aarch64-a76"),
    # With SVE2, bfloat16 and i8mm; a core that has no name here gets the family's own code.
    Board("DGX Spark", "aarch64", V9_2, ((ARM, "0xd87", 700), (ARM, "0xd85", 1024)), "aarch64"),
)  # fmt: skip


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Board], tuple[str, frozenset[str], str]]:
    """`facts(board)`: the family of the agent it gets, and the features and the core that this agent finds."""
    readers: dict[str, list[str]] = {}
    folder = tmp_path_factory.mktemp("board")

    def facts(board: Board) -> tuple[str, frozenset[str], str]:
        family = plain_target(board.uname).name
        if family not in readers:
            readers[family] = build_reader(family, tmp_path_factory.mktemp(family))
        found = reading(readers[family], folder, board.cpuinfo, *(capacity for _, _, capacity in board.cores))
        return family, frozenset(found["features"]), found["model"]

    return facts


# The words of /proc/cpuinfo that allow what LLVM is told to use.
_ALLOWS = {"+neon": {"neon", "asimd"}, "+vfp4": {"vfpv4"}}


def allowed(target: Target, features: frozenset[str]) -> bool:
    added = [name for name in target.features if name.startswith("+")]
    return target.needs <= features and all(_ALLOWS[name] & features for name in added)


@pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])
def test_a_board_gets_its_code(board: Board, facts: Callable[[Board], tuple[str, frozenset[str], str]]) -> None:
    family, features, core = facts(board)
    assert features == set(board.features.split())
    # From here on the agent tells its own architecture: that of its family.
    made = target_for({"armv7": "armv7l"}.get(family, family), features, core=core)
    assert made.name == board.target
    assert (
        made.triple
        == {
            "aarch64": "aarch64-linux-gnu",
            "armv7": "arm-linux-gnueabihf",
        }[family]
    )
    assert allowed(made, features)


@pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])
@pytest.mark.parametrize("extra", ["+crc", "+aes", "+sha2", "+lse", "+rdm", "+rcpc", "+dotprod", "+fullfp16"])
def test_nothing_beyond_the_oldest_of_the_family(board: Board, extra: str) -> None:
    """A table of one core's board is for that board, but its code is not: it may be started on any of the family."""
    made = target_for(board.uname, frozenset(board.features.split()))
    assert extra not in made.features
    if made.triple.startswith("aarch64"):
        assert extra.replace("+", "-") in made.features


@pytest.mark.parametrize("uname", ["armv6l", "armv5tel", "i686", "mips", "ppc64le"])
def test_boards_there_is_no_code_for(uname: str) -> None:
    with pytest.raises(BuildError, match=f"no target for machine '{uname}': known are aarch64"):
        plain_target(uname)
