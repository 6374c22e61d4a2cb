"""A budget: the most latency, memory and size a compressed model may have, absolute or relative."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from hwaware.errors import BudgetError

EXAMPLE = "latency=60%,memory=256KiB"
# What a cost is called, and its unit where code counts it.
UNITS = {"latency": "ms", "memory": "bytes", "size": "bytes", "flops": "FLOP"}

_SCALES: dict[str, dict[str, float]] = {
    "ms": {"s": 1e3, "ms": 1.0, "us": 1e-3, "µs": 1e-3},
    "bytes": {"": 1, "B": 1, "bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    "FLOP": {"": 1, "K": 1e3, "M": 1e6, "G": 1e9},
}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-zµ]*|%)\s*")


@dataclass(frozen=True)
class Costs:
    """Milliseconds, bytes of arena and weights together, bytes of weights, FLOP of one inference."""

    latency: float
    memory: float
    size: float
    flops: float = 0.0


@dataclass(frozen=True)
class Budget:
    """The most a compressed model may cost, as text: ``60%`` of what went in, ``12ms``, ``250us``, ``256KiB``, ``9M``.

    `latency` is of one inference at the table's number of threads, `memory` is arena and weights, `size` is
    weights, `flops` what other tools count. Raises BudgetError, in one line, for what is no amount and where nothing
    is limited.
    """

    latency: str | None = None
    memory: str | None = None
    size: str | None = None
    flops: str | None = None

    def __post_init__(self) -> None:
        if not self.asked():
            raise BudgetError(f"the budget limits nothing: write one like {EXAMPLE}")
        for name, text in self.asked().items():
            _amount(name, text)

    @classmethod
    def parse(cls, text: str) -> Budget:
        """The budget written as ``latency=60%,memory=256KiB``. Raises BudgetError."""
        known = [field.name for field in fields(cls)]
        found: dict[str, str] = {}
        for part in filter(str.strip, text.split(",")):
            name, equals, amount = (piece.strip() for piece in part.partition("="))
            if not equals or name not in known:
                raise BudgetError(f"budget {part.strip()!r}: write {', '.join(known)} = an amount, like {EXAMPLE}")
            if name in found:
                raise BudgetError(f"budget {text!r} limits {name} twice: write it once")
            found[name] = amount
        return cls(**found)

    def asked(self) -> dict[str, str]:
        """What is limited, in the order latency, memory, size, flops."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: text for name, text in named.items() if text is not None}

    def limits(self, whole: Costs) -> dict[str, float]:
        """The limits in milliseconds and bytes for a model that costs `whole` before compression."""
        limits = {}
        for name, text in self.asked().items():
            value, relative = _amount(name, text)
            limits[name] = value * getattr(whole, name) if relative else value
        return limits

    def __str__(self) -> str:
        return ",".join(f"{name}={text}" for name, text in self.asked().items())


def within(costs: Costs, limits: Mapping[str, float]) -> bool:
    """Whether nothing is above its limit."""
    return all(getattr(costs, name) <= limit for name, limit in limits.items())


def quantity(name: str, value: float) -> str:
    """An amount of `name` for people: ``12.3 ms``, ``45.6 µs``, ``12.3 KiB``."""
    if UNITS[name] == "ms":
        small = value < 0.1
        number = value * 1e3 if small else value
        return f"{number:.3g} {'µs' if small else 'ms'}" if number < 100 else f"{number:.0f} ms"
    if UNITS[name] == "FLOP":
        return f"{value / 1e6:.3g} MFLOP" if value < 1e9 else f"{value / 1e9:.3g} GFLOP"
    for unit, scale in (("MiB", 2**20), ("KiB", 2**10)):
        if value >= scale:
            return f"{value / scale:.1f} {unit}"
    return f"{value:.0f} bytes"


def unreachable(budget: Budget, whole: Costs, least: Costs, why: str) -> BudgetError:
    """The refusal of a budget below `least`, the cheapest that can be made of a model that costs `whole`."""
    limits = budget.limits(whole)
    over = [name for name, limit in limits.items() if getattr(least, name) > limit]
    parts, ask = [], {**budget.asked()}
    for name in over:
        share = math.ceil(100 * getattr(least, name) / getattr(whole, name))
        ask[name] = f"{share}%"
        parts.append(f"{name}={budget.asked()[name]} cannot be reached: {why} {share} % "
                     f"({quantity(name, getattr(least, name))})")  # fmt: skip
    return BudgetError(f"{'; '.join(parts)}; ask for {','.join(f'{k}={v}' for k, v in ask.items())} or more")


def conflicting(budget: Budget, whole: Costs, least: Mapping[str, float]) -> BudgetError:
    """The refusal of limits that can each be kept, but not together: `least` is each one's beside all the others."""
    ways = " or ".join(
        f"{name}={math.ceil(100 * value / getattr(whole, name))}% ({quantity(name, value)})"
        for name, value in least.items()
        if value <= getattr(whole, name)
    )
    return BudgetError(f"{budget} can each be kept, but not together: ask for {ways or 'more of several'}")


def _amount(name: str, text: str) -> tuple[float, bool]:
    """The amount in the unit of `name`, or the share with True where it is relative."""
    scales = _SCALES[UNITS[name]]
    units = [unit for unit in scales if unit] + ["%"]
    match = _AMOUNT.fullmatch(str(text))
    if match is None or (match[2] not in scales and match[2] != "%"):
        raise BudgetError(f"budget {name}={text}: write a number with {', '.join(units)}, like {EXAMPLE}")
    value = float(match[1])
    if not 0 < value < 1e300:
        raise BudgetError(f"budget {name}={text}: a budget is more than nothing, like {EXAMPLE}")
    if match[2] != "%":
        return value * scales[match[2]], False
    if value > 100:
        raise BudgetError(f"budget {name}={text}: at most 100 % of what goes in, like {EXAMPLE}")
    return value / 100, True
