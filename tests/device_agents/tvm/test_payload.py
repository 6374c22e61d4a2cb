"""What the archive carries is checked before anything runs."""

from __future__ import annotations

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from device_agents.tvm.faults import Fault
from device_agents.tvm.payload import Payload
from device_agents.tvm.tables import Tables

PLACE = {"space": "arena", "offset": 0, "dtype": "float32", "shape": [2, 3]}
TABLES: dict[str, Any] = {
    "schema": 1,
    "unit": "gpu",
    "arch": "sm_87",
    "sentinel": {"symbol": "hwa_sentinel", "elements": 64},
    "cells": [
        {
            "id": "map|a",
            "symbol": "map_1",
            "args": [{"role": "input", "dtype": "int64", "shape": [5], "limit": 7}],
        }
    ],
    "model": {
        "name": "tiny",
        "arena_bytes": 88,
        "weight_bytes": 64,
        "inputs": [PLACE],
        "outputs": [{**PLACE, "offset": 64}],
        "ops": [{"name": "body", "key": "map", "symbol": "map_1", "args": [{**PLACE, "space": "weights"}]}],
    },
}


def packed(folder: Path, **files: str) -> Payload:
    """An archive with these files of the payload, a shell line before it."""
    path = folder / "agent"
    with path.open("wb") as file:
        file.write(b"#!/bin/sh\n")
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in files.items():
                archive.writestr("payload/" + name.replace("_", "."), content)
    return Payload(path)


def test_tables_are_read(tmp_path: Path) -> None:
    tables = packed(tmp_path, tables_json=json.dumps(TABLES)).tables()
    assert (tables.gpu, tables.arch) == (True, "sm_87")
    assert [(cell.id, cell.arguments[0].bytes, cell.arguments[0].limit) for cell in tables.cells] == [("map|a", 40, 7)]
    assert tables.model is not None
    assert (tables.model.outputs[0].offset, tables.model.outputs[0].bytes) == (64, 24)
    assert tables.sentinel is not None
    assert tables.sentinel.elements == 64


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("cells", 0, "args", 0, "dtype"), "float8"),
        (("cells", 0, "args", 0, "shape"), None),
        (("cells", 0, "symbol"), ...),
        (("model", "outputs", 0, "offset"), 65),
        (("model", "outputs", 0, "offset"), -4),
        (("model", "inputs", 0, "space"), "stack"),
        (("model", "ops", 0, "args", 0, "shape"), [100]),
        (("unit",), ...),
    ],
)
def test_damaged_tables_are_refused(where: tuple[Any, ...], value: object) -> None:
    document = copy.deepcopy(TABLES)
    inner = document
    for step in where[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[where[-1]]
    else:
        inner[where[-1]] = value
    with pytest.raises(Fault, match="tables are damaged"):
        Tables.of(document)


def test_tables_of_another_version_are_refused() -> None:
    with pytest.raises(Fault, match="schema 2"):
        Tables.of({**TABLES, "schema": 2})


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    payload = packed(tmp_path, tables_json="{}")
    with pytest.raises(Fault, match=r"carries no weights\.bin"):
        payload.weights()
    with pytest.raises(Fault, match=r"carries no model\.so"), payload.library():
        pass
    payload.archive.write_bytes(b"#!/bin/sh\n")
    with pytest.raises(Fault, match="cannot be read"):
        payload.tables()


def test_the_library_is_a_file_for_a_while(tmp_path: Path) -> None:
    payload = packed(tmp_path, model_so="code")
    with payload.library() as path:
        assert path.read_text() == "code"
        assert path.is_relative_to(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["agent"]


def test_an_agent_outside_an_archive_says_so() -> None:
    with pytest.raises(Fault, match="was not started from an archive"):
        Payload.find()
