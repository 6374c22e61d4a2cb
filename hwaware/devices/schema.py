"""Reading untrusted JSON: each accessor returns a value of its type, within bounds, or raises AgentError."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeGuard

from hwaware.errors import AgentError

MAX_WORD = 256
MAX_ITEMS = 4096
MAX_SAMPLES = 1_000_000
MAX_INTEGER = (1 << 63) - 1


class Fields:
    """A JSON object that should have certain fields; `where` names it in errors."""

    def __init__(self, document: object, where: str) -> None:
        if not isinstance(document, dict):
            raise AgentError(f"{where}: not a JSON object")
        self._document = document
        self._where = where

    def __contains__(self, name: str) -> bool:
        """Whether the object has the field at all."""
        return name in self._document

    def integer(self, name: str, least: int = 0) -> int:
        """An integer from `least` to 2^63 - 1."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_INTEGER:
            raise self._wrong(name, f"an integer of at least {least}")
        return value

    def boolean_or_none(self, name: str) -> bool | None:
        """True, false or null."""
        return None if self._get(name) is None else self.boolean(name)

    def integer_or_none(self, name: str, *, least: int = 0) -> int | None:
        """An integer of at least `least`, or null."""
        return None if self._get(name) is None else self.integer(name, least=least)

    def number(self, name: str) -> float:
        """A finite, non-negative number."""
        value = self._get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self._wrong(name, "a number")
        if not 0 <= value <= MAX_INTEGER:  # not a number is not within any bounds either
            raise self._wrong(name, "a finite number of at least 0")
        return float(value)

    def boolean(self, name: str) -> bool:
        """true or false."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def word(self, name: str, form: re.Pattern[str] | None = None) -> str:
        """A printable string of 1 to 256 characters that matches `form`."""
        value = self._get(name)
        if not _is_word(value) or (form is not None and not form.fullmatch(value)):
            raise self._wrong(name, "a short printable string of the right form")
        return value

    def word_or_none(self, name: str, form: re.Pattern[str] | None = None) -> str | None:
        """Such a string or null."""
        return None if self._get(name) is None else self.word(name, form)

    def words(self, name: str) -> list[str]:
        """A list of such strings."""
        values = self._list(name)
        if not all(_is_word(value) for value in values):
            raise self._wrong(name, "a list of short printable strings")
        return [value for value in values if _is_word(value)]

    def objects(self, name: str, least: int = 0) -> Iterator[Fields]:
        """The objects of a list with at least `least` of them."""
        values = self._list(name)
        if len(values) < least:
            raise self._wrong(name, f"a list of at least {least}")
        for index, value in enumerate(values):
            yield Fields(value, f"{self._where}: {name}[{index}]")

    def section(self, name: str) -> Fields:
        """An object inside this one."""
        return Fields(self._get(name), f"{self._where}: {name}")

    def text(self, name: str) -> str:
        """A string of any length that the answer's own limit allows."""
        value = self._get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite, non-negative numbers, at most a million."""
        values = self._get(name)
        if not isinstance(values, list) or len(values) > MAX_SAMPLES:
            raise self._wrong(name, f"a list of at most {MAX_SAMPLES}")
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_INTEGER:
                raise self._wrong(name, "a list of finite numbers of at least 0")
        return tuple(float(value) for value in values)

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of non-negative integers."""
        values = self._list(name)
        if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values):
            raise self._wrong(name, "a list of integers of at least 0")
        return tuple(value for value in values if isinstance(value, int))

    def _list(self, name: str) -> list[object]:
        value = self._get(name)
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise self._wrong(name, f"a list of at most {MAX_ITEMS}")
        return value

    def _get(self, name: str) -> object:
        if name not in self._document:
            raise AgentError(f"{self._where}: the field {name} is missing")
        return self._document[name]

    def _wrong(self, name: str, wanted: str) -> AgentError:
        return AgentError(f"{self._where}: the field {name} is not {wanted}")


def _is_word(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_WORD and value.isprintable()
