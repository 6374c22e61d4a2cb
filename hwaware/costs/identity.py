"""What two measurements must have in common to stand in one table: device, unit, toolchain, threads, protocol, power,
cores, rule.

A table refuses to answer where one of them is another, and says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwaware.costs.manifest import Manifest
from hwaware.errors import TableError

HERE = ("the table", "here")
# Governors that choose a frequency by load are one class: which of them does it is a matter of the kernel's version.
_FIXED_GOVERNORS = ("performance", "powersave", "userspace")
# Numbers of the rule that belong to a cell and not to the table.
_RULE_OF_A_CELL = frozenset({"displace_kb"})


def identity_of(manifest: Manifest) -> dict[str, Any]:
    """What must be equal, by the word that names it in messages."""
    return {
        "device": manifest.fingerprint,
        "emulated": manifest.emulated,
        "unit": "+".join(manifest.units),
        "toolchain": manifest.toolchain,
        "threads": manifest.threads,
        "protocol": manifest.protocol,
        "power": power_of(manifest.conditions),
        "cores": cores_of(manifest.conditions),
        "measuring rule": rule_of(manifest),
    }


def cores_of(conditions: Mapping[str, Any]) -> str:
    """The cores among recorded `conditions`; older ones tell none, as there was no choice."""
    return str(conditions.get("cores") or "the fastest")


def power_of(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """The power mode (Jetson: ``nvpmodel``) and the class of the governor among recorded `conditions`.

    The governor is None where the kernel tells of none, and where the frequency was locked while measuring.
    """
    governors = conditions.get("governor")
    classes: str | None = None
    if isinstance(governors, str) and governors and not conditions.get("frequency_locked"):
        classes = ",".join(sorted({_class(word) for word in governors.split(",")}))
    return {"mode": conditions.get("power_mode"), "governor": classes}


def _class(governor: str) -> str:
    return governor if governor in _FIXED_GOVERNORS else "by load"


def rule_of(manifest: Manifest) -> dict[str, Any]:
    """The part of the measuring rule that all cells of a table share."""
    return {name: value for name, value in manifest.rule.items() if name not in _RULE_OF_A_CELL}


def first_difference(ours: Mapping[str, Any], theirs: Mapping[str, Any], places: tuple[str, str] = HERE) -> str | None:
    """In words, the first of the identities `ours` and `theirs` that differs; what one of them lacks is not asked.

    `places` name where the values were found.
    """
    for name in ours:
        if name not in theirs:
            continue
        value, there = ours[name], theirs[name]
        if name == "power":
            value, there = _comparable_power(value, there)
        found = difference(name, value, there, places)
        if found is not None:
            return found
    return None


def check_identity(manifest: Manifest, here: Mapping[str, Any]) -> None:
    """Raise TableError where the table of `manifest` was measured under other circumstances than those `here`."""
    found = first_difference(identity_of(manifest), here)
    if found is not None:
        raise TableError(
            f"the cost table of device {manifest.device} does not fit: {found}; "
            "profile again into another --out with `hwaware profile MODEL --device NAME --out DIR`"
        )


def _comparable_power(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both powers without a governor that one of them does not know or does not depend on."""
    known = ours.get("governor") is not None and theirs.get("governor") is not None
    keep = ("mode", "governor") if known else ("mode",)
    return {name: ours.get(name) for name in keep}, {name: theirs.get(name) for name in keep}


def difference(name: str, ours: Any, theirs: Any, places: tuple[str, str] = HERE) -> str | None:
    """In words, where two values first differ; None where they are equal."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        # Hashes say that something differs, not what.
        for key in sorted({*ours, *theirs} - {"sha256"}, key=str):
            found = difference(f"{name} {key}", ours.get(key), theirs.get(key), places)
            if found is not None:
                return found
        return None
    lists = isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple))
    if ours == theirs or (lists and list(ours) == list(theirs)):
        return None
    if lists:
        # The file is nobody's friend: what stands in its lists may be of any type.
        here, there = set(map(str, ours)), set(map(str, theirs))
        parts = [
            f"{word} {', '.join(items[:5])}"
            for word, items in (("with", sorted(here - there)), ("without", sorted(there - here)))
            if items
        ]
        return f"{name}: {places[0]} {' and '.join(parts) or 'in another order'}"
    return f"{name}: {ours!r} in {places[0]}, {theirs!r} {places[1]}"
