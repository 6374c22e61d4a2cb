"""Typed access to the fields of an untrusted JSON object; every refusal names the file and the field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwaware.errors import HwawareError
from hwaware.files import Document

_REQUIRED = object()


@dataclass(frozen=True)
class Fields:
    """One JSON object: where it came from, its path inside (`latency_ms`), its values, and what it is part of."""

    source: str
    path: str
    values: Mapping[str, Any]
    document: Document

    def error(self, name: str, problem: str) -> HwawareError:
        """The refusal of field `name`."""
        where = f"{self.path}.{name}" if self.path else name
        return self.document.error(
            f"{self.source} is not a usable {self.document.name}: {where} {problem}; {self.document.remedy}"
        )

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.values.get(name) is not None

    def raw(self, name: str) -> Any:
        """The value, which must be there."""
        value = self.values.get(name, _REQUIRED)
        if value is _REQUIRED:
            raise self.error(name, "is missing")
        return value

    def text(self, name: str) -> str:
        """A non-empty string."""
        value = self.raw(name)
        if not isinstance(value, str) or not value.strip():
            raise self.error(name, "must be a non-empty string")
        return value

    def number(self, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number in [low, high]."""
        return self._number(name, self.raw(name), low, high)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.raw(name)
        if not isinstance(value, bool):
            raise self.error(name, "must be true or false")
        return value

    def integer(self, name: str, *, low: int = 0) -> int:
        """A whole number of at least `low`."""
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**63:
            raise self.error(name, f"must be a whole number, at least {low}")
        return value

    def numbers(self, name: str, *, low: float = -math.inf) -> tuple[float, ...]:
        """A list of finite numbers of at least `low`."""
        return tuple(self._number(name, item, low, math.inf) for item in self._list(name))

    def interval(self, name: str) -> tuple[float, float]:
        """A pair `[low, high]` of numbers of at least 0, in order."""
        pair = self.numbers(name, low=0.0)
        if len(pair) != 2 or pair[0] > pair[1]:
            raise self.error(name, "must be [low, high]")
        return pair[0], pair[1]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        items = self._list(name)
        if not all(isinstance(item, str) for item in items):
            raise self.error(name, "must be a list of strings")
        return tuple(items)

    def section(self, name: str) -> Fields:
        """A JSON object inside this one."""
        return self._section(name, self.raw(name))

    def sections(self, name: str) -> tuple[Fields, ...]:
        """A list of JSON objects."""
        return tuple(self._section(f"{name}[{i}]", item) for i, item in enumerate(self._list(name)))

    def _list(self, name: str) -> list[Any]:
        value = self.raw(name)
        if not isinstance(value, list):
            raise self.error(name, "must be a list")
        return value

    def _section(self, name: str, value: Any) -> Fields:
        if not isinstance(value, dict):
            raise self.error(name, "must be an object")
        return Fields(self.source, f"{self.path}.{name}" if self.path else name, value, self.document)

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        # The bounds also refuse NaN (it is in no interval) and integers too large for a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            raise self.error(name, "must be a finite number")
        if not low <= value <= high:
            raise self.error(name, f"is {value:g}, outside {low:g} to {high:g}")
        return float(value)
