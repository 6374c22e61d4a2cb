"""What the agent carries: cells to measure, or one whole model. Written by `hwaware.compiler.tvm_tables`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from device_agents.tvm.elements import ELEMENTS, bytes_of
from device_agents.tvm.faults import Fault

SCHEMA = 1
INPUT, WEIGHT, OUTPUT, SCRATCH = "input", "weight", "output", "scratch"
ARENA, WEIGHTS = "arena", "weights"


@dataclass(frozen=True)
class Argument:
    """An argument of a cell, on memory of its own; integers are below `limit`."""

    role: str
    dtype: str
    shape: tuple[int, ...]
    limit: int

    @property
    def bytes(self) -> int:
        """Bytes in memory."""
        return bytes_of(self.dtype, self.shape)


@dataclass(frozen=True)
class Cell:
    """One kernel, measured alone."""

    id: str
    symbol: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Place:
    """A tensor of a model: `offset` bytes into the arena or the weights."""

    space: str
    offset: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Bytes in memory."""
        return bytes_of(self.dtype, self.shape)


@dataclass(frozen=True)
class Op:
    """A call of a model: where in it, its workload's key, the kernel, its arguments."""

    name: str
    key: str
    symbol: str
    arguments: tuple[Place, ...]


@dataclass(frozen=True)
class Model:
    """A whole model: calls in order over one arena and one block of weights."""

    name: str
    ops: tuple[Op, ...]
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    arena_bytes: int
    weight_bytes: int


@dataclass(frozen=True)
class Sentinel:
    """A kernel of fixed work that fills so many floats."""

    symbol: str
    elements: int


@dataclass(frozen=True)
class Tables:
    """All of it. `gpu`: kernels run on the GPU of this `arch`, else on the processor."""

    gpu: bool
    arch: str | None
    sentinel: Sentinel | None
    cells: tuple[Cell, ...]
    model: Model | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Tables:
        """From the JSON document. Raises Fault for one of another version, or a damaged one."""
        if document.get("schema") != SCHEMA:
            raise Fault(f"the agent's tables have schema {document.get('schema')}, it reads {SCHEMA}")
        try:
            return _tables(document)
        except (KeyError, TypeError, ValueError) as error:
            raise Fault(f"the agent's tables are damaged: {error!r}") from error


def _tables(document: Mapping[str, Any]) -> Tables:
    sentinel, model = document["sentinel"], document["model"]
    cells = tuple(
        Cell(entry["id"], entry["symbol"], tuple(_argument(item) for item in entry["args"]))
        for entry in document["cells"]
    )
    return Tables(
        gpu=document["unit"] == "gpu",
        arch=document["arch"],
        sentinel=None if sentinel is None else Sentinel(sentinel["symbol"], int(sentinel["elements"])),
        cells=cells,
        model=None if model is None else _model(model),
    )


def _argument(entry: Mapping[str, Any]) -> Argument:
    return Argument(entry["role"], _dtype(entry), _shape(entry), int(entry["limit"]))


def _model(entry: Mapping[str, Any]) -> Model:
    sizes = {ARENA: int(entry["arena_bytes"]), WEIGHTS: int(entry["weight_bytes"])}

    def place(item: Mapping[str, Any]) -> Place:
        made = Place(item["space"], int(item["offset"]), _dtype(item), _shape(item))
        if made.offset < 0 or made.offset + made.bytes > sizes[made.space]:
            raise ValueError("a tensor lies outside its space")
        return made

    ops = tuple(
        Op(item["name"], item["key"], item["symbol"], tuple(place(argument) for argument in item["args"]))
        for item in entry["ops"]
    )
    inputs, outputs = (tuple(place(item) for item in entry[name]) for name in ("inputs", "outputs"))
    return Model(entry["name"], ops, inputs, outputs, sizes[ARENA], sizes[WEIGHTS])


def _dtype(entry: Mapping[str, Any]) -> str:
    dtype = str(entry["dtype"])
    if dtype not in ELEMENTS:
        raise ValueError(f"no element type is called {dtype}")
    return dtype


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in entry["shape"])
