"""``table.json``: what a cost table was measured with, and what it may be used for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hwaware.errors import TableError
from hwaware.fields import Fields
from hwaware.files import Document, read_json, write_text_atomic

SCHEMA_VERSION = 3
KIND = "hwaware-cost-table"
TABLE = Document("cost table", "`hwaware profile MODEL --device NAME --out DIR` makes one", TableError)


@dataclass(frozen=True)
class Manifest:
    """All of a table but its cells.

    `fingerprint` is `DeviceFacts.fingerprint()` and decides, with `toolchain`, `threads`, `protocol` and `rule` (how a
    cell is timed), whether two measurements belong together. `models` were profiled into the table. `overhead_ns` is
    added once to the sum of a model's operations. `validation` says how far predictions of whole models were off, None
    if untested; `fit` is what is known of the errors of the cost model (`costs.calibrate`), `memory` of peak memory
    (`costs.memory`).
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
        if version != SCHEMA_VERSION:
            raise TableError(
                f"{path} has schema version {str(version)[:20]}, this hwaware reads {SCHEMA_VERSION}: "
                "profile the device again with this version"
            )
        target = top.section("target")
        for size in ("lanes", "l1", "l2"):
            if size in target.values:
                target.integer(size, low=1)
        return cls(
            device=top.text("device"),
            fingerprint=top.section("fingerprint").values,
            facts=top.section("facts").values,
            toolchain=top.section("toolchain").values,
            target=target.values,
            threads=top.integer("threads", low=1),
            protocol=top.text("protocol"),
            rule=top.section("rule").values,
            conditions=top.section("conditions").values,
            created=top.text("created"),
            models=top.texts("models"),
            emulated=_boolean(top, "emulated"),
            overhead_ns=top.number("overhead_ns"),
            validation=_section(top, "validation"),
            fit=_section(top, "fit"),
            memory=_section(top, "memory"),
            notes=top.texts("notes"),
            complete=_boolean(top, "complete"),
            cells=top.integer("cells"),
            cells_sha256=str(top.raw("cells_sha256")),
        )

    def with_model(self, model: str) -> Manifest:
        """With `model` among the profiled ones."""
        return replace(self, models=tuple(dict.fromkeys((*self.models, model))))


def _section(fields: Fields, name: str) -> Mapping[str, Any] | None:
    return fields.section(name).values if fields.has(name) else None


def _boolean(fields: Fields, name: str) -> bool:
    value = fields.raw(name)
    if not isinstance(value, bool):
        raise fields.error(name, "must be true or false")
    return value
