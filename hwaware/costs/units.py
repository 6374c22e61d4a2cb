"""Tables of a processor and of the GPU beside it, taken apart and put together as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hwaware.costs.manifest import UNITS
from hwaware.costs.table import CostTable


def apart(table: CostTable) -> dict[str, CostTable]:
    """A table of each unit alone."""
    views = {unit: table.of(unit) for unit in table.manifest.units}
    return {unit: replace(view, manifest=replace(view.manifest, others={}), others=()) for unit, view in views.items()}


def together(tables: Mapping[str, CostTable]) -> CostTable:
    """One table of those of each unit. It answers for the processor, unless it has none of its cells.

    What belongs to no unit is the newest table's.
    """
    first, *rest = (unit for unit in UNITS if unit in tables)
    newest = max(tables.values(), key=lambda table: (table.manifest.created, table.manifest.unit)).manifest
    manifest = replace(
        newest,
        **tables[first].manifest.part(),
        notes=tuple(sorted({note for table in tables.values() for note in table.manifest.notes})),
        others={unit: tables[unit].manifest.part() for unit in rest},
    )
    others = tuple(row for unit in rest for row in tables[unit].rows)
    return CostTable(manifest, tables[first].rows, others=others).sealed()
