"""Typed access to a node's arguments; a graph read from a file may hold anything in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hwaware.errors import ModelError
from hwaware.graph.ir import Arg, Node, Ref


def ref(node: Node, key: str) -> str:
    """Name of the value that argument `key` uses; `ModelError` where it uses none."""
    name = optional_ref(node, key)
    if name is None:
        raise wrong(node, key, "a value")
    return name


def optional_ref(node: Node, key: str) -> str | None:
    """Name of the value that argument `key` uses, None where it is a literal or None."""
    arg = node.args.get(key)
    return arg.name if isinstance(arg, Ref) else None


def refs(node: Node, key: str) -> list[str]:
    """Names in an argument that is a list of values."""
    arg = node.args.get(key)
    if not isinstance(arg, tuple) or not all(isinstance(item, Ref) for item in arg):
        raise wrong(node, key, "a list of values")
    return [item.name for item in arg if isinstance(item, Ref)]


def integer(node: Node, key: str) -> int:
    """An integer argument."""
    arg = node.args.get(key)
    if not isinstance(arg, int):
        raise wrong(node, key, "an integer")
    return arg


def number(node: Node, key: str) -> float:
    """An integer or float argument."""
    arg = node.args.get(key)
    if not isinstance(arg, (int, float)):
        raise wrong(node, key, "a number")
    return arg


def integers(node: Node, key: str) -> tuple[int, ...]:
    """A list of integers; a single one counts as a list of one, as in ATen."""
    arg = node.args.get(key)
    if isinstance(arg, int):
        return (arg,)
    if not isinstance(arg, tuple) or not all(isinstance(item, int) for item in arg):
        raise wrong(node, key, "a list of integers")
    return tuple(item for item in arg if isinstance(item, int))


def with_args(node: Node, changed: Mapping[str, Arg]) -> Node:
    """`node` with some arguments replaced, in the same order."""
    return replace(node, args={**node.args, **changed})


def wrong(node: Node, key: str, wanted: str) -> ModelError:
    """The error for an argument that is not what its operator takes."""
    return ModelError(f"{node.op} in module '{node.path or '(top)'}': argument {key} is not {wanted}")
