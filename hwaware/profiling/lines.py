"""What the agent's ``bench`` prints, line by line, as rows; every line is checked, none is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hwaware.compiler.choice import Variant
from hwaware.costs.family import family
from hwaware.costs.row import FAILED, OK, CellRow, statistics_of
from hwaware.devices.output import one_line
from hwaware.devices.schema import Fields
from hwaware.errors import AgentError
from hwaware.profiling.surroundings import Surroundings


def empty_row(variant: Variant, threads: int) -> CellRow:
    """The row of a variant before anything is known of it."""
    work = variant.workload
    place = family(work)
    return CellRow(work.key, place.key, work.kind, place.coordinates, threads, OK, schedule=str(variant.choice))


@dataclass(frozen=True)
class Reading:
    """One measurement of the cell `id`; `around` is None where it failed. The row is not judged yet."""

    id: str
    row: CellRow
    around: Surroundings | None = None


class BenchLines:
    """Readings of the cells that were asked for, in the order in which they are measured.

    `wanted` are variants by id, `measured` the ids that have come. `finished` once the agent said it is done.
    """

    def __init__(self, wanted: Mapping[str, Variant], threads: int, device: str) -> None:
        self.wanted = wanted
        self.measured: set[str] = set()
        self.finished = False
        self._threads = threads
        self._where = f"device {device}: the agent's bench"

    def read(self, line: str) -> Reading | None:
        """The reading of one line, None where it carries none. Raises AgentError."""
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise AgentError(f"{self._where} printed no JSON: {one_line(line, 80)}; run it again") from error
        fields = Fields(document, self._where)
        kind = fields.text("type")
        if kind == "error":
            raise AgentError(f"{self._where} says: {one_line(fields.text('reason'))}")
        self.finished = self.finished or kind == "done"
        return self._reading(fields) if kind == "cell" else None

    def _reading(self, fields: Fields) -> Reading:
        name = fields.text("id")
        if name not in self.wanted or name in self.measured:
            raise AgentError(f"{self._where} measured a cell nobody asked for: {one_line(name, 80)}")
        row = empty_row(self.wanted[name], self._threads)
        if fields.text("status") == "ok":
            reading = self._measured(name, row, fields)
        else:
            reading = Reading(name, replace(row, status=FAILED, reason=one_line(fields.text("reason"))))
        self.measured.add(name)
        return reading

    def _measured(self, name: str, row: CellRow, fields: Fields) -> Reading:
        if fields.integer("threads") != self._threads:
            raise AgentError(f"{self._where} used {fields.integer('threads')} threads, not {self._threads}")
        try:
            statistics = statistics_of(fields.numbers("samples_ns"))
        except ValueError as error:
            # A kernel below the clock's resolution: nothing can be said of it, and that is said.
            return Reading(name, replace(row, status=FAILED, reason=str(error)))
        around = Surroundings.read(fields)
        row = replace(
            row,
            **statistics,
            cold_ns=fields.number("cold_ns"),
            inner=fields.integer("inner", least=1),
            weight_bytes=fields.integer("weight_bytes"),
            arg_bytes=fields.integer("arg_bytes"),
            workspace_bytes=fields.integer("workspace_bytes"),
            peak_rss_delta_bytes=fields.integer_or_none("peak_rss_delta_bytes"),
            khz_before=around.khz_before,
            khz_after=around.khz_after,
            milli_c_before=around.milli_c_before,
            milli_c_after=around.milli_c_after,
            involuntary_switches=around.involuntary_switches,
            load1=around.load1,
            throttle=around.throttle,
        )
        return Reading(name, row, around)
