"""Schedules as data: which schedule a kernel is written by, and with which parameters.

A choice is plain text in the files that keep it, ``winograd(strip=28,tile=4)``. It is no promise about widths: a
schedule clips its parameters to what a workload has, so that a choice made at one width serves its neighbours.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from hwaware.errors import BuildError
from hwaware.graph.workload import Workload

_NAME = "[a-z][a-z0-9_]{0,31}"
_PARAM = rf"{_NAME}=\d{{1,9}}"
_TEXT = re.compile(rf"({_NAME})\(({_PARAM}(?:,{_PARAM}){{0,15}})?\)")


@dataclass(frozen=True)
class Choice:
    """`schedule` names the function that writes the kernel, `params` are its parameters, sorted by name."""

    schedule: str
    params: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, schedule: str, **params: int) -> Choice:
        """A choice from keyword arguments."""
        return cls(schedule, tuple(sorted(params.items())))

    @classmethod
    def parse(cls, text: str) -> Choice:
        """The choice that `str` wrote. Raises BuildError for anything else."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise BuildError(f"{text[:60]!r} is no schedule choice such as 'direct(positions=6,vectors=2)'")
        pairs = [part.split("=") for part in (match[2] or "").split(",") if part]
        return cls.of(match[1], **{name: int(value) for name, value in pairs})

    def get(self, name: str, default: int) -> int:
        """The parameter `name`, or `default` where the choice leaves it to the schedule."""
        return dict(self.params).get(name, default)

    def replaced(self, **params: int) -> Choice:
        """The choice with these parameters instead of its own."""
        return Choice.of(self.schedule, **{**dict(self.params), **params})

    def __str__(self) -> str:
        return f"{self.schedule}({','.join(f'{name}={value}' for name, value in self.params)})"


@dataclass(frozen=True)
class Variant:
    """A workload as it is written by one schedule: what is compiled and what is measured."""

    workload: Workload
    choice: Choice

    @property
    def id(self) -> str:
        """The workload's key and the choice."""
        return f"{self.workload.key}|{self.choice}"

    @property
    def symbol(self) -> str:
        """A C identifier for the kernel: the kind and a hash of the id."""
        return f"{self.workload.kind}_{hashlib.sha256(self.id.encode()).hexdigest()[:16]}"


class Chooser(Protocol):
    """What knows the schedules that were measured to be best."""

    def of(self, workload: Workload) -> Choice | None:
        """The choice for a workload; None where nothing like it was measured."""
