"""Artifacts measured in turn: what strikes one of them in one round does not decide."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from hwaware.reports import measure


def test_each_round_is_compared_with_the_first_of_the_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine halves its speed for most rounds; in one of five something hits the second artifact alone."""
    speed, calls = [1.0, 2.0, 2.0, 2.0, 1.0], {"a": 0, "b": 0}

    def run(artifact: str, _device: Any, **_: Any) -> Any:
        number = calls[artifact]
        calls[artifact] += 1
        taken = {"a": 4e6, "b": 1e6}[artifact] * speed[number] * (9 if (artifact, number) == ("b", 2) else 1)
        return SimpleNamespace(samples_ns=(taken, taken, 3 * taken))

    monkeypatch.setattr(measure, "run_artifact", run)
    modes = SimpleNamespace(settle=lambda: None)
    monkeypatch.setattr(measure, "measuring_modes", lambda device: nullcontext(modes))
    artifacts: Any = ["a", "b"]
    device: Any = None
    assert measure.medians_in_turn(artifacts, device, rounds=5) == [8.0, 2.0]
    assert calls == {"a": 5, "b": 5}
