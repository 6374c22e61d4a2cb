"""Which target a processor gets: never more than it says it can do."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from hwaware.compiler.cores import CORES, EXTENDED, FAMILIES, TARGETS
from hwaware.compiler.target import CPU, GPU, Target
from hwaware.errors import BuildError

__all__ = [
    "ARCH",
    "Target",
    "base_target",
    "for_integers",
    "host_machine",
    "plain_target",
    "restored_target",
    "target_for",
    "unit_of",
]  # fmt: skip

# What the identity of a GPU's target has beyond a processor's.
ARCH = "arch"

_BASES = {target.name: target for target in (*TARGETS, *chain.from_iterable(EXTENDED.values()))}


def base_target(name: str) -> Target:
    """A target by its name."""
    if name not in _BASES:
        raise BuildError(f"unknown target {name!r}: choose one of {', '.join(_BASES)}")
    return _BASES[name]


def restored_target(identity: Mapping[str, Any]) -> Target:
    """The target a table or an artifact was made for, from its (untrusted) `identity`. Raises BuildError."""
    if unit_of(identity) == GPU:
        from hwaware.compiler.cuda.target import restored_cuda_target

        return restored_cuda_target(identity)
    base = base_target(str(identity.get("name")))
    sizes = {name: identity.get(name, getattr(base, name)) for name in ("l1", "l2")}
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise BuildError(
                f"the target {base.name} has a cache {name} of {str(size)[:40]!r} bytes: make its file again"
            )
    return replace(base, **sizes)


def unit_of(identity: Mapping[str, Any]) -> str:
    """What the target of an `identity` computes on, `CPU` or `GPU`."""
    return GPU if ARCH in identity else CPU


def plain_target(machine: str) -> Target:
    """The target of a machine as `uname -m` names it, before anything else is known of it."""
    name = FAMILIES.get(machine.lower())
    if name is None:
        known = ", ".join(sorted(FAMILIES))
        raise BuildError(f"no target for machine {machine!r}: known are {known}")
    return _BASES[name]


def target_for(
    machine: str, features: frozenset[str], caches: Mapping[int, int] | None = None, core: str | None = None
) -> Target:
    """The target for a device's own facts.

    `caches` gives the bytes of the data caches of one core by level, where the device knows them; `core` is its name,
    as in "Cortex-A53", which decides among targets that run the same code. Raises BuildError for a processor that
    lacks what every target of its family needs.
    """
    plain = plain_target(machine)
    family = [target for target in TARGETS if target.triple == plain.triple]
    able = [target for target in family if target.needs <= features]
    if not able:
        missing = ", ".join(sorted(family[-1].needs - features))
        raise BuildError(f"this {family[-1].name} processor lacks {missing}: hwaware has no code for it")
    named = CORES.get(core or "")
    base = next((target for target in able if target.name == named), able[0])
    sizes = caches or {}
    return replace(base, l1=sizes.get(1, base.l1), l2=sizes.get(2, base.l2))


def for_integers(target: Target, features: frozenset[str]) -> Target:
    """`target` with the instructions for 8-bit integers that a device with these `features` has.

    Code in float32 is the same by both, and by `target` alone it runs on more devices.
    """
    found = next((each for each in EXTENDED.get(target.name, ()) if each.needs <= features), target)
    return replace(found, l1=target.l1, l2=target.l2)


def host_machine() -> str:
    """This machine as `uname -m` names it."""
    return platform.machine()
