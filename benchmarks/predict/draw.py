"""Which variants of a model are asked about: random widths of every channel group, the same on every run of a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from hwaware.costs.model_check import digest_of
from hwaware.errors import ModelError
from hwaware.graph.capture import capture
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from hwaware.profiling.variants import prunable_groups, random_widths, sliced
from hwaware.reference import LoadedModel, load_model

if TYPE_CHECKING:
    from torch import nn

# By the way their channels hang together, the model of each that is asked about.
FAMILIES: Mapping[str, str] = {
    "residual": "zoo:resnet20",
    "inverted-residual": "benchmarks.predict.nets:mobilenet_v2",
    "concat": "benchmarks.predict.nets:squeezenet",
    "plain-3x3": "benchmarks.predict.nets:vgg8",
    "depthwise-separable": "benchmarks.predict.nets:mobilenet_v1",
}
_TRIES = 10  # draws for each variant that is asked for, before the model is given up

Widths = Mapping[str, int]  # channels by the name of their group


@dataclass(frozen=True)
class Draws:
    """Variants of a model, and how many draws there were of no use (`why`: the first one's reason)."""

    widths: tuple[Widths, ...]
    redrawn: int = 0
    why: str = ""


@dataclass(frozen=True)
class Source:
    """A model with its graph and the groups of it that can lose channels."""

    model: LoadedModel
    graph: Graph
    groups: tuple[ChannelGroup, ...]

    def variant(self, widths: Widths | None) -> nn.Module:
        """The model with its groups at `widths`, in eval mode; None is the whole model. Raises ModelError."""
        if widths is None:
            return self.model.module
        return GraphModel(sliced(self.graph, self.groups, widths), self.model.example_inputs).eval()


def reference(family: str) -> str:
    """A net of the zoo by its bare name, anything else as `hwaware compile` takes it."""
    return FAMILIES.get(family, family)


@lru_cache(maxsize=2)
def source(ref: str) -> Source:
    """The model `ref` names. Raises ModelError for one that cannot be loaded or has nothing to vary."""
    model = load_model(ref)
    graph = capture(model.module, model.example_inputs)
    groups = tuple(prunable_groups(graph))
    if not groups:
        raise ModelError(f"{ref} has no channel group that can lose channels: name another model with --families")
    return Source(model, graph, groups)


def draw(origin: Source, count: int, seed: int, measured: frozenset[str] = frozenset()) -> Draws:
    """`count` different variants: every width uniform over the integers from an eighth of its group to the whole.

    None is among those whose digests are `measured`. The first variants of a longer list are those of a shorter one.
    Raises ModelError where hardly any draw is of use.
    """
    rng = random.Random(f"{seed} {origin.model.name}")  # noqa: S311 - draws must be the same again, not secret
    taken = {*measured, digest_of(op.workload.key for op in lower(origin.graph).ops)}
    found: list[Widths] = []
    failed: list[str] = []
    while len(found) < count:
        widths = random_widths(origin.groups, rng)
        try:
            digest = digest_of(op.workload.key for op in lower(sliced(origin.graph, origin.groups, widths)).ops)
        except ModelError as error:
            failed.append(str(error))
        else:
            if digest in taken:
                failed.append("profiled or drawn before")
            else:
                taken.add(digest)
                found.append(widths)
        if len(failed) > _TRIES * count:
            raise ModelError(f"{origin.model.name}: {len(failed)} draws are of no use, the first: {failed[0]}")
    return Draws(tuple(found), len(failed), failed[0] if failed else "")
