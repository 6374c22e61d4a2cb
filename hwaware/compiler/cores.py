"""The processor cores hwaware writes code for: what each must be able to do, and what its pipeline is like.

Multiply-adds a cycle are as measured by cpufp (github.com/pigirons/cpufp, benchmark_result): per cycle and core one of
128 bits on Cortex-A53 (RK3399, 11.3 GFLOP/s at 1.4 GHz), A55 (RK3588) and A72 (BCM2711, 12.0 at 1.5 GHz), two on
Cortex-A76 (BCM2712, 38.4 at 2.4 GHz). Latencies and load ports are those of Arm's software optimization guides, with
the accumulator forwarded; that A53 and A55 issue nothing beside a 128-bit vector load, which takes two cycles, is from
ncnn's "arm a53 a55 dual issue".
"""

from __future__ import annotations

from dataclasses import replace

from hwaware.compiler.target import Target

# Beyond the baseline, nothing a kernel in float32 needs: code for one core runs on every core of its family.
_ARMV8 = ("+neon", "-crc", "-aes", "-sha2", "-lse", "-rdm", "-rcpc", "-dotprod", "-fullfp16")
_X86 = ("x86_64-linux-gnu", "x86_64-linux-musl")
_AARCH64 = ("aarch64-linux-gnu", "aarch64-linux-musl")
_ARMV7 = ("arm-linux-gnueabihf", "arm-linux-musleabihf")

_V2 = frozenset({"sse4_2", "ssse3", "popcnt"})
# Without XSAVE no operating system keeps the wide registers, whatever the processor says beside it.
_AVX2 = _V2 | {"xsave", "avx", "avx2", "fma", "bmi1", "bmi2", "f16c", "movbe"}
_AVX512 = _AVX2 | {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"}


def _armv8(name: str, cpu: str, fma_cycles: float, fma_latency: float, loads: float, dual_issue: bool = True) -> Target:
    return Target(
        name, *_AARCH64, cpu, _ARMV8, lanes=4, registers=32, fma_cycles=fma_cycles, fma_latency=fma_latency,
        loads_per_cycle=loads, dual_issue=dual_issue, lane_fma=4, l1_ways=4,
    )  # fmt: skip


# Of each family the one to take first, if the device has what it needs.
TARGETS = (
    Target(
        "x86_64-avx512", *_X86, "skylake-avx512", ("-prefer-256-bit",), lanes=16, registers=32, needs=_AVX512,
        fma_cycles=1.0,
    ),
    Target("x86_64-avx2", *_X86, "haswell", (), lanes=8, registers=16, needs=_AVX2),
    # A multiplication and an addition, with a register between them.
    Target("x86_64", *_X86, "x86-64-v2", (), lanes=4, registers=15, needs=_V2, fma_cycles=1.0),
    _armv8("aarch64", "cortex-a72", 1.0, 4.0, 1.0),
    _armv8("aarch64-a53", "cortex-a53", 1.0, 4.0, 0.5, dual_issue=False),
    _armv8("aarch64-a55", "cortex-a55", 1.0, 4.0, 0.5, dual_issue=False),
    _armv8("aarch64-a72", "cortex-a72", 1.0, 3.0, 1.0),
    _armv8("aarch64-a76", "cortex-a76", 0.5, 2.0, 2.0),
    # LLVM holds fused multiply-adds for slow on Cortex-A7 and splits them, which costs registers and half the speed.
    Target(
        "armv7", *_ARMV7, "cortex-a7", ("+neon", "+vfp4", "-slowfpvfmx"), lanes=4, registers=13,
        needs=frozenset({"neon", "vfpv4", "idiva"}), fma_cycles=2.0, loads_per_cycle=0.5, dual_issue=False, l1_ways=4,
    ),
    # Cortex-A8 and A9, and A5, which cannot divide.
    Target(
        "armv7-neon", *_ARMV7, "cortex-a8", ("+neon",), lanes=4, registers=9,
        needs=frozenset({"neon"}), fma_cycles=4.0, loads_per_cycle=0.5, dual_issue=False, l1_ways=4,
    ),
    Target(
        "riscv64", "riscv64-linux-gnu", "riscv64-linux-musl", "generic-rv64", ("+m", "+a", "+f", "+d", "+c"),
        lanes=1, registers=24, fma_cycles=1.0, loads_per_cycle=1.0,
    ),
)  # fmt: skip


def _with(name: str, of: str, features: tuple[str, ...], needs: set[str]) -> Target:
    """The target `of` with instructions for 8-bit integers: code in float32 and its tiles stay what they are."""
    base = next(target for target in TARGETS if target.name == of)
    left_out = {feature.replace("+", "-") for feature in features}
    kept = tuple(feature for feature in base.features if feature not in left_out)
    return replace(base, name=name, features=(*kept, *features), needs=base.needs | needs)


def _dotprod(of: str) -> Target:
    return _with(f"{of}-dotprod", of, ("+dotprod",), {"asimddp"})


def _i8mm(of: str) -> Target:
    return _with(f"{of}-i8mm", of, ("+dotprod", "+i8mm"), {"asimddp", "i8mm"})


# By the name of the target they extend, the one to take first if the device has what it needs.
EXTENDED = {
    "x86_64-avx512": (_with("x86_64-avx512vnni", "x86_64-avx512", ("+avx512vnni",), {"avx512_vnni"}),),
    "x86_64-avx2": (_with("x86_64-avxvnni", "x86_64-avx2", ("+avxvnni",), {"avx_vnni"}),),
    "aarch64": (_i8mm("aarch64"), _dotprod("aarch64")),
    "aarch64-a55": (_dotprod("aarch64-a55"),),
    "aarch64-a72": (_dotprod("aarch64-a72"),),  # Cortex-A75
    "aarch64-a76": (_i8mm("aarch64-a76"), _dotprod("aarch64-a76")),
}

FAMILIES = {
    "x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64",
    "armv7l": "armv7", "armv8l": "armv7", "arm": "armv7", "riscv64": "riscv64",
}  # fmt: skip

# Cores by the name the agent gives them, and the target with the nearest pipeline; others get their family's own.
_LIKE = {
    "aarch64-a53": ("A35", "A53"),
    "aarch64-a55": ("A55", "A510", "A520"),
    "aarch64-a72": ("A57", "A72", "A73", "A75"),
    "aarch64-a76": ("A76", "A77", "A78", "A78AE", "A78C", "A710", "A715", "A720", "X1", "X2", "X3", "X4"),
}
CORES = {f"Cortex-{core}": target for target, cores in _LIKE.items() for core in cores} | {
    f"Neoverse-{core}": "aarch64-a76" for core in ("N1", "N2", "V1", "V2")
}
