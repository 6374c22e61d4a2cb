"""The schedules a compressed model's costs were measured with, so that what is compiled is what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwaware.compiler.choice import Choice, Chooser
from hwaware.compiler.schedules import variant
from hwaware.compiler.targets import Target
from hwaware.errors import ArtifactError, BuildError
from hwaware.fields import Fields
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.graph.workload import Workload


@dataclass(frozen=True)
class Schedules:
    """`choices` by a workload's key, for code made for the target of this `identity`."""

    identity: Mapping[str, Any]
    choices: Mapping[str, Choice]

    @classmethod
    def of(cls, graph: Graph, target: Target, chooser: Chooser) -> Schedules:
        """Those of a model with static shapes."""
        workloads = (op.workload for op in lower(graph).ops)
        return cls(target.identity(), {work.key: variant(work, target, chooser).choice for work in workloads})

    def joined(self, other: Schedules) -> Schedules:
        """Those of two models for one target."""
        return Schedules(self.identity, {**self.choices, **other.choices})

    def of_target(self, target: Target) -> Chooser | None:
        """What the compiler asks; None where code is made for another target than was measured."""
        return _Exact(self.choices) if self.identity == target.identity() else None

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {"target": dict(self.identity), "choices": {key: str(choice) for key, choice in self.choices.items()}}

    @classmethod
    def from_fields(cls, fields: Fields) -> Schedules:
        """Read an untrusted document. Raises ArtifactError."""
        texts = fields.section("choices")
        try:
            choices = {key: Choice.parse(texts.text(key)) for key in texts.values}
        except BuildError as error:
            raise ArtifactError(f"{fields.source}: {error}; compress the model again") from error
        return cls(fields.section("target").values, choices)


@dataclass(frozen=True)
class _Exact:
    known: Mapping[str, Choice]

    def of(self, workload: Workload) -> Choice | None:
        """The choice of exactly this workload."""
        return self.known.get(workload.key)
