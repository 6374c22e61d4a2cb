"""The plan: what compression decided and why, as JSON beside the model it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hwaware.compression.budget import Costs
from hwaware.compression.plan_parts import (
    Finalist,
    FrontPoint,
    PrecisionPlan,
    changes,
    finalist,
    front_point,
    numbers,
    precision_plan,
)
from hwaware.errors import ArtifactError
from hwaware.fields import Fields
from hwaware.files import Document

SCHEMA_VERSION = 2
_FLOAT = "float32"
PLAN = Document("compression plan", "compress again with `hwaware compress`", ArtifactError)


@dataclass(frozen=True)
class GroupPlan:
    """Channels of one coupled group: `kept` are those of the original that stay, in order; a wider group has new ones.

    `per_channel_ms` is what one more of the kept channels costs on the device; `next_width` the next narrower
    width that would be cheaper, `next_saves_ms` by how much (None where there is none in the table).
    """

    name: str
    before: int
    after: int
    kept: tuple[int, ...]
    per_channel_ms: float = 0.0
    next_width: int | None = None
    next_saves_ms: float | None = None


@dataclass(frozen=True)
class LayerPlan:
    """One operation of the original: predicted milliseconds before and after (0 where it is gone).

    `groups` are those it depends on, `per_channel_ms` what one of their channels costs in it.
    """

    name: str
    path: str
    before_ms: float
    after_ms: float
    groups: tuple[str, ...] = ()
    per_channel_ms: tuple[float, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All decisions of one compression.

    `budget` is what was asked, `limits` the same in milliseconds and bytes; `before` and `after` are predicted.
    `fixed` says of groups that kept their width why; `omega` is the expansion of the surviving widths;
    `strength` the last strength of the regulariser, `history` how it got there; `note` says what is unusual.
    `precisions` says why each layer has its own, `front` what else there was, `finalists` what was compared at the
    end, `with_more` what a tenth more of the budget would change (group or layer, from, to), and `recovery` how
    accuracy came through quantisation; `floats` says of layers that cannot compute in integers why.
    """

    method: str
    task: str
    seed: int
    budget: Mapping[str, str]
    limits: Mapping[str, float]
    before: Costs
    after: Costs
    groups: tuple[GroupPlan, ...] = ()
    layers: tuple[LayerPlan, ...] = ()
    fixed: Mapping[str, str] = field(default_factory=dict)
    omega: float = 1.0
    strength: float = 0.0
    history: tuple[Mapping[str, float], ...] = ()
    note: str = ""
    precisions: tuple[PrecisionPlan, ...] = ()
    front: tuple[FrontPoint, ...] = ()
    finalists: tuple[Finalist, ...] = ()
    with_more: tuple[tuple[str, str, str], ...] = ()
    recovery: str = ""
    floats: Mapping[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any width or precision is not what it was."""
        return any(group.after != group.before for group in self.groups) or any(
            layer.precision != _FLOAT for layer in self.precisions
        )

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        document = {"schema_version": SCHEMA_VERSION} | asdict(self)
        document["groups"] = [{**group, "kept": list(group["kept"])} for group in document["groups"]]
        document["layers"] = [
            {**layer, "groups": list(layer["groups"]), "per_channel_ms": list(layer["per_channel_ms"])}
            for layer in document["layers"]
        ]
        for name in ("history", "precisions", "front", "finalists"):
            document[name] = list(document[name])
        return document | {"with_more": [list(each) for each in self.with_more]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], source: str) -> Plan:
        """The plan in a JSON document read from `source`. Raises ArtifactError naming the field that is wrong."""
        top = Fields(source, "", document, PLAN)
        if top.integer("schema_version") != SCHEMA_VERSION:
            raise top.error("schema_version", f"is not {SCHEMA_VERSION}, which this hwaware reads")
        return cls(
            method=top.text("method"),
            task=str(top.raw("task")),
            seed=top.integer("seed"),
            budget=_texts(top.section("budget")),
            limits=numbers(top.section("limits")),
            before=_costs(top.section("before")),
            after=_costs(top.section("after")),
            groups=tuple(_group(group) for group in top.sections("groups")),
            layers=tuple(_layer(layer) for layer in top.sections("layers")),
            fixed=_texts(top.section("fixed")),
            omega=top.number("omega", low=0),
            strength=top.number("strength", low=0),
            history=tuple(numbers(tick) for tick in top.sections("history")),
            note=str(top.raw("note")),
            precisions=tuple(precision_plan(layer) for layer in top.sections("precisions")),
            front=tuple(front_point(point) for point in top.sections("front")),
            finalists=tuple(finalist(one) for one in top.sections("finalists")),
            with_more=changes(top),
            recovery=str(top.raw("recovery")),
            floats=_texts(top.section("floats")),
        )


def _group(fields: Fields) -> GroupPlan:
    before, kept = fields.integer("before"), tuple(int(index) for index in fields.numbers("kept", low=0))
    after = fields.integer("after")
    if len(kept) > after or list(kept) != sorted(set(kept)) or any(index >= before for index in kept):
        raise fields.error("kept", f"must be at most {after} different channels of {before}, in order")
    narrower = fields.has("next_width")
    return GroupPlan(
        fields.text("name"),
        before,
        after,
        kept,
        fields.number("per_channel_ms", low=0),
        fields.integer("next_width") if narrower else None,
        fields.number("next_saves_ms", low=0) if narrower else None,
    )


def _layer(fields: Fields) -> LayerPlan:
    groups = tuple(fields.texts("groups")) if fields.has("groups") else ()
    each = fields.numbers("per_channel_ms", low=0) if fields.has("per_channel_ms") else ()
    return LayerPlan(
        fields.text("name"),
        str(fields.raw("path")),
        fields.number("before_ms", low=0),
        fields.number("after_ms", low=0),
        groups,
        tuple(each),
    )


def _costs(fields: Fields) -> Costs:
    flops = fields.number("flops", low=0) if fields.has("flops") else 0.0
    latency, memory, size = (fields.number(name, low=0) for name in ("latency", "memory", "size"))
    return Costs(latency, memory, size, flops)


def _texts(fields: Fields) -> dict[str, str]:
    return {name: fields.text(name) for name in fields.values}
