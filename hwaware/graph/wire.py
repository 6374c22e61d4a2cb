"""A graph as JSON and back: what a file may say is checked value by value, nothing in it is evaluated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from hwaware.errors import ArtifactError
from hwaware.graph.functions import function_of
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec
from hwaware.graph.ops import KNOWN

DTYPES = frozenset({"float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"})
MAX_ELEMENTS = 1 << 31  # of one value: a larger shape in a file is damage, not a model
MAX_NESTING = 4


def to_wire(graph: Graph) -> dict[str, Any]:
    """A JSON document of `graph` without the contents of its tensors."""
    return {
        "batched": graph.batched,
        "inputs": [{"name": name, **_spec_out(spec)} for name, spec in graph.inputs.items()],
        "tensors": [
            {"name": name, "parameter": name in graph.parameters, **_spec_out(Spec.of(tensor))}
            for name, tensor in graph.tensors.items()
        ],
        "nodes": [
            {
                "name": node.name,
                "op": node.op,
                "path": node.path,
                "args": {key: _arg_out(arg) for key, arg in node.args.items()},
                **_spec_out(node.spec),
            }
            for node in graph.nodes
        ],
        "outputs": list(graph.outputs),
    }


def from_wire(document: object, tensors: Mapping[str, torch.Tensor]) -> Graph:
    """The graph that `document` describes, over `tensors`; raises `ArtifactError` saying what is wrong.

    Checked here: types, known operators with arguments of their schema, every value defined before it is
    used, tensors of exactly the declared names, shapes and dtypes. Not checked: that the shapes fit together.
    """
    body = _table(document, "graph", {"batched", "inputs", "tensors", "nodes", "outputs"})
    inputs = {_text(entry, "name"): _spec_in(entry, "input") for entry in _entries(body, "inputs", {"name", *_SPEC})}
    declared = _entries(body, "tensors", {"name", "parameter", *_SPEC})
    specs = {_text(entry, "name"): _spec_in(entry, "tensor") for entry in declared}
    _check_tensors(specs, tensors)
    defined = {*inputs, *specs}
    if len(defined) != len(inputs) + len(declared):
        raise ArtifactError("two values of the graph have the same name")
    nodes = []
    for entry in _entries(body, "nodes", {"name", "op", "path", "args", *_SPEC}):
        node = _node_in(entry)
        unknown = [name for name in node.refs() if name not in defined]
        if unknown or node.name in defined:
            what = f"uses {unknown[0]!r} before it is defined" if unknown else "is defined twice"
            raise ArtifactError(f"node {node.name!r} {what}")
        defined.add(node.name)
        nodes.append(node)
    outputs = body["outputs"]
    if not isinstance(outputs, list) or not outputs or not all(name in defined for name in outputs):
        raise ArtifactError("outputs is not a list of values of the graph")
    parameters = frozenset(_text(entry, "name") for entry in declared if entry["parameter"] is True)
    ordered = {name: tensors[name] for name in specs}
    return Graph(inputs, nodes, tuple(outputs), ordered, parameters, body["batched"] is True)


def outline(document: object) -> Graph:
    """The graph of `from_wire` before its tensors are read: they have shapes and dtypes only."""
    body = _table(document, "graph", {"batched", "inputs", "tensors", "nodes", "outputs"})
    declared = _entries(body, "tensors", {"name", "parameter", *_SPEC})
    specs = {_text(entry, "name"): _spec_in(entry, "tensor") for entry in declared}
    return from_wire(document, {name: spec.empty() for name, spec in specs.items()})


_SPEC = ("shape", "dtype")


def _spec_out(spec: Spec) -> dict[str, Any]:
    return {"shape": list(spec.shape), "dtype": spec.dtype}


def _spec_in(entry: Mapping[str, Any], what: str) -> Spec:
    shape, dtype = entry["shape"], entry["dtype"]
    sizes = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not sizes or math.prod(shape) > MAX_ELEMENTS or dtype not in DTYPES:
        raise ArtifactError(f"{what} {entry['name']!r} has no possible shape and dtype: {shape} {dtype!r}")
    return Spec(tuple(shape), dtype)


def _arg_out(arg: Arg) -> Any:
    if isinstance(arg, Ref):
        return {"ref": arg.name}
    if isinstance(arg, tuple):
        return [_arg_out(item) for item in arg]
    if isinstance(arg, float) and not math.isfinite(arg):
        return {"float": str(arg)}
    return arg


def _arg_in(value: Any, where: str, depth: int = 0) -> Arg:
    if depth > MAX_NESTING:
        raise ArtifactError(f"{where} has an argument nested deeper than any operator's")
    if isinstance(value, list):
        return tuple(_arg_in(item, where, depth + 1) for item in value)
    if isinstance(value, dict):
        if set(value) == {"ref"} and isinstance(value["ref"], str):
            return Ref(value["ref"])
        if set(value) == {"float"} and value["float"] in {"inf", "-inf", "nan"}:
            return float(value["float"])
        raise ArtifactError(f"{where} has an argument that is neither a value nor a literal")
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _node_in(entry: Mapping[str, Any]) -> Node:
    name, op = _text(entry, "name"), _text(entry, "op")
    where = f"node {name!r}"
    if op not in KNOWN:
        raise ArtifactError(f"{where} is the unknown operator {op!r}: was the file written by a later hwaware?")
    schema = function_of(op)._schema
    args = entry["args"]
    if not isinstance(args, dict) or list(args) != [argument.name for argument in schema.arguments][: len(args)]:
        raise ArtifactError(f"{where}: its arguments are not those of {op}")
    decoded = {key: _arg_in(value, where) for key, value in args.items()}
    return Node(name, op, decoded, _spec_in(entry, "node"), _text(entry, "path"))


def _check_tensors(specs: Mapping[str, Spec], tensors: Mapping[str, torch.Tensor]) -> None:
    if set(specs) != set(tensors):
        odd = sorted(set(specs) ^ set(tensors))[0]
        raise ArtifactError(f"tensor {odd!r} is in only one of the graph and the weights")
    for name, spec in specs.items():
        if Spec.of(tensors[name]) != spec:
            raise ArtifactError(f"tensor {name!r} is {Spec.of(tensors[name])} in the weights, {spec} in the graph")


def _table(value: object, what: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != keys:
        raise ArtifactError(f"{what} has not exactly the fields {', '.join(sorted(keys))}")
    return value


def _entries(body: Mapping[str, Any], field: str, keys: set[str]) -> list[dict[str, Any]]:
    if not isinstance(body[field], list):
        raise ArtifactError(f"{field} of the graph is not a list")
    return [_table(entry, f"an entry of {field}", keys) for entry in body[field]]


def _text(entry: Mapping[str, Any], field: str) -> str:
    if not isinstance(entry[field], str):
        raise ArtifactError(f"{field} is not text but {entry[field]!r}")
    return str(entry[field])
