"""What is known of a table's errors over whole models: for each profiled model apart, and from those for the table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from scipy.stats import t as student

from hwaware.costs.manifest import TABLE, Manifest
from hwaware.fields import Fields

# Of the logarithm of a model's latency: about what remains if its operations are known, measured minutes later.
WHOLE_SPREAD = 0.01
# Scales of errors count as if so many variants more had come out as they were expected to.
_PRIOR = 4
_COVERAGE = 0.9
_BY_MODEL = "by_model"


@dataclass(frozen=True)
class ModelErrors:
    """Found on `models` measured variants of one profiled model, each predicted without its own measurement.

    `overhead_ns` is what a whole takes beyond the sum of its operations, with its standard error. `scale` is the
    deviation of errors in units of the expected one, from `tests` of the variants. The rest are relative errors.
    """

    models: int
    overhead_ns: float
    overhead_error_ns: float
    tests: int = 0
    scale: float = 1.0
    left_out_rms: float = 0.0
    left_out_bias: float = 0.0


def errors_of(manifest: Manifest) -> dict[str, ModelErrors]:
    """By profiled model. Raises TableError where the (untrusted) manifest holds something else."""
    top = Fields("the cost table", "fit", manifest.fit or {}, TABLE)
    if not top.has(_BY_MODEL):
        return {}
    parts = top.section(_BY_MODEL)
    return {name: _read(parts.section(name)) for name in parts.values}


def _read(fields: Fields) -> ModelErrors:
    return ModelErrors(
        models=fields.integer("models", low=1),
        overhead_ns=fields.number("overhead_ns"),
        overhead_error_ns=fields.number("overhead_error_ns", low=0),
        tests=fields.integer("tests"),
        scale=fields.number("scale", low=0, high=100),
        left_out_rms=fields.number("left_out_rms", low=0),
        left_out_bias=fields.number("left_out_bias"),
    )


def with_errors(manifest: Manifest, by_model: Mapping[str, ModelErrors]) -> Manifest:
    """`manifest` with the overhead and the `reach` of 90 % intervals that follow from all of `by_model`."""
    if not by_model:
        return manifest
    found = by_model.values()
    weight = sum(one.models for one in found)
    overhead = sum(one.models * one.overhead_ns for one in found) / weight
    error = math.hypot(*(one.models * one.overhead_error_ns for one in found)) / weight
    tests = sum(one.tests for one in found)
    # The next error given these, its scale unknown: Gelman et al., "Bayesian Data Analysis" (2013), section 2.6.
    scale = math.sqrt((_PRIOR + sum(one.tests * one.scale**2 for one in found)) / (_PRIOR + tests))
    fit: dict[str, Any] = {
        "overhead_error_ns": round(error, 1),
        "model_spread": WHOLE_SPREAD,
        "reach": round(float(student.ppf(0.5 + _COVERAGE / 2, _PRIOR + tests)) * scale, 4),
        _BY_MODEL: {name: asdict(by_model[name]) for name in sorted(by_model)},
    }
    return replace(manifest, overhead_ns=round(overhead, 1), fit=fit)


def joined(several: Iterable[Mapping[str, ModelErrors]]) -> dict[str, ModelErrors]:
    """Of a model that occurs more than once, what was found on more variants."""
    best: dict[str, ModelErrors] = {}
    for by_model in several:
        for name, one in by_model.items():
            best[name] = max(best.get(name, one), one, key=lambda each: (each.models, repr(each)))
    return best
