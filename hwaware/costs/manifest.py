"""``table.json``: what a cost table was measured with, and what it may be used for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hwaware.compiler.target import CPU, GPU
from hwaware.compiler.targets import unit_of
from hwaware.errors import TableError
from hwaware.fields import Fields
from hwaware.files import Document, read_json, write_text_atomic

SCHEMA_VERSION = 4
# Tables of one unit alone, as there were before there were GPUs, have the same fields but `others`.
_READ = (3, SCHEMA_VERSION)
KIND = "hwaware-cost-table"
UNITS = (CPU, GPU)
PART = (
    "toolchain", "target", "threads", "rule", "conditions", "created", "models", "overhead_ns", "validation", "fit",
    "memory", "complete",
)  # fmt: skip
TABLE = Document("cost table", "`hwaware profile MODEL --device NAME --out DIR` makes one", TableError)


@dataclass(frozen=True)
class Manifest:
    """All of a table but its cells.

    `fingerprint` is `DeviceFacts.fingerprint()` and decides, with `toolchain`, `threads`, `protocol` and `rule` (how a
    cell is timed), whether two measurements belong together. `models` were profiled into the table. `overhead_ns` is
    added once to the sum of a model's operations. `validation` says how far predictions of whole models were off, None
    if untested; `fit` is what is known of the errors of the cost model (`costs.calibrate`), `memory` of peak memory
    (`costs.memory`). Of these `PART` are those of one unit, the processor or the GPU; where a table has cells of both,
    `others` holds those of the other one, by unit.
    """

    device: str
    fingerprint: Mapping[str, Any]
    facts: Mapping[str, Any]
    toolchain: Mapping[str, Any]
    target: Mapping[str, Any]
    threads: int
    protocol: str
    rule: Mapping[str, Any]
    conditions: Mapping[str, Any]
    created: str
    models: tuple[str, ...] = ()
    emulated: bool = False
    overhead_ns: float = 0.0
    validation: Mapping[str, Any] | None = None
    fit: Mapping[str, Any] | None = None
    memory: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    complete: bool = False
    cells: int = 0
    cells_sha256: str = ""
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What its target computes on, ``cpu`` or ``gpu``."""
        return unit_of(self.target)

    @property
    def units(self) -> tuple[str, ...]:
        """All units whose cells the table has."""
        return tuple(unit for unit in UNITS if unit == self.unit or unit in self.others)

    def part(self) -> dict[str, Any]:
        """The fields of its unit."""
        return {name: getattr(self, name) for name in PART}

    def of(self, unit: str) -> Manifest:
        """The same with the fields of `unit`. Raises TableError where the table has none of its cells."""
        if unit == self.unit:
            return self
        if unit not in self.others:
            raise TableError(
                f"the cost table of {self.device} has no cells of its {unit}: `hwaware profile MODEL --device "
                f"{self.device} --unit {unit} --out DIR` measures them, `hwaware merge` makes one table of both"
            )
        rest = {name: part for name, part in self.others.items() if name != unit}
        return replace(self, **self.others[unit], others=rest | {self.unit: self.part()})

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {"schema_version": SCHEMA_VERSION, "kind": KIND} | json.loads(json.dumps(asdict(self)))

    def save(self, path: Path) -> None:
        """Write it, whole or not at all. Raises TableError."""
        write_text_atomic(path, json.dumps(self.document(), indent=1, allow_nan=False) + "\n", TableError)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read and check an untrusted file. Raises TableError."""
        top = Fields(str(path), "", read_json(path, TABLE), TABLE)
        if top.raw("kind") != KIND:
            raise TableError(f"{path} is not a cost table of hwaware: its kind is not {KIND!r}; {TABLE.remedy}")
        version = top.raw("schema_version")
        if version not in _READ:
            raise TableError(
                f"{path} has schema version {str(version)[:20]}, this hwaware reads {SCHEMA_VERSION}: "
                "profile the device again with this version"
            )
        made = cls(
            device=top.text("device"),
            fingerprint=top.section("fingerprint").values,
            facts=top.section("facts").values,
            protocol=top.text("protocol"),
            emulated=_boolean(top, "emulated"),
            notes=top.texts("notes"),
            cells=top.integer("cells"),
            cells_sha256=str(top.raw("cells_sha256")),
            **_part(top),
        )
        return replace(made, others=_others(top.section("others"), made.unit)) if top.has("others") else made

    def with_model(self, model: str) -> Manifest:
        """With `model` among the profiled ones."""
        return replace(self, models=tuple(dict.fromkeys((*self.models, model))))


def _part(fields: Fields) -> dict[str, Any]:
    """The fields of one unit."""
    target = fields.section("target")
    for size in ("lanes", "l1", "l2"):
        if size in target.values:
            target.integer(size, low=1)
    return {
        "toolchain": fields.section("toolchain").values,
        "target": target.values,
        "threads": fields.integer("threads", low=1),
        "rule": fields.section("rule").values,
        "conditions": fields.section("conditions").values,
        "created": fields.text("created"),
        "models": fields.texts("models"),
        "overhead_ns": fields.number("overhead_ns"),
        "validation": _section(fields, "validation"),
        "fit": _section(fields, "fit"),
        "memory": _section(fields, "memory"),
        "complete": _boolean(fields, "complete"),
    }


def _others(fields: Fields, own: str) -> dict[str, dict[str, Any]]:
    parts = {unit: _part(fields.section(unit)) for unit in fields.values}
    for unit, part in parts.items():
        if unit == own or unit_of(part["target"]) != unit:
            raise fields.error(unit[:20], "is not what its target computes on")
    return parts


def _section(fields: Fields, name: str) -> Mapping[str, Any] | None:
    return fields.section(name).values if fields.has(name) else None


def _boolean(fields: Fields, name: str) -> bool:
    value = fields.raw(name)
    if not isinstance(value, bool):
        raise fields.error(name, "must be true or false")
    return value
