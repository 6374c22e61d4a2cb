"""The file: safetensors, whose metadata say how each tensor is encoded (see docs/encoding.md).

A file is not trusted: whatever is wrong with one is an ArtifactError, before anything large is made of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as format_tensors

from hwaware.encoding.forms import NAMES, Coded, Dense, Encoded, SparseDelta, SparseMask, decode
from hwaware.errors import ArtifactError
from hwaware.fields import Fields
from hwaware.files import Document, write_bytes_atomic

KIND, SCHEMA_VERSION, KEY = "hwaware-encoded", 1, "hwaware"
# Elements of a tensor: a few bytes of gaps could ask for any number of zeros.
MOST_ELEMENTS = 1 << 28


def save(path: Path, tensors: Mapping[str, Encoded]) -> None:
    """Write `tensors` at once. Raises ArtifactError where `path` cannot be written."""
    write_bytes_atomic(path, formatted(tensors), ArtifactError)


def formatted(tensors: Mapping[str, Encoded]) -> bytes:
    """The file that holds `tensors`."""
    described, parts = {}, dict[str, np.ndarray]()
    for number, (name, tensor) in enumerate(tensors.items()):
        described[name], arrays = _described(tensor)
        parts |= {f"{number}.{part}": np.array(array, order="C") for part, array in arrays.items()}
    document = {"kind": KIND, "schema_version": SCHEMA_VERSION, "tensors": described}
    return bytes(format_tensors(parts, {KEY: json.dumps(document)}))


def load(path: Path) -> dict[str, Encoded]:
    """What `save` wrote. Raises ArtifactError for everything else."""
    document = Document("encoded weights", "write them again", ArtifactError)
    try:
        with safe_open(path, framework="np") as file:
            top = _header(path, (file.metadata() or {}).get(KEY), document)
            described = top.section("tensors")
            return {
                name: _tensor(described.section(name), lambda part, number=number: file.get_tensor(f"{number}.{part}"))
                for number, name in enumerate(described.values)
            }
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ArtifactError(f"{path} holds no encoded weights: {str(error)[:200]}; write them again") from error


def _header(path: Path, text: str | None, document: Document) -> Fields:
    if text is None:
        raise ValueError(f"its metadata have no {KEY!r}")
    values = json.loads(text)
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise ValueError(f"its kind is not {KIND!r}")
    if values.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(f"this hwaware reads schema version {SCHEMA_VERSION}")
    return Fields(str(path), "", values, document)


def _described(tensor: Encoded) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    name = NAMES[type(tensor)]
    if isinstance(tensor, Dense):
        return {"encoding": name, "shape": list(tensor.values.shape)}, {"values": tensor.values}
    about: dict[str, Any] = {"encoding": name, "shape": list(tensor.shape)}
    if isinstance(tensor, SparseMask):
        return about, {"mask": tensor.mask, "values": tensor.values}
    if isinstance(tensor, SparseDelta):
        return {**about, "width": tensor.width, "gaps": tensor.count}, {"gaps": tensor.gaps, "values": tensor.values}
    return about, {"codebook": tensor.codebook, "indices": tensor.indices}


def _tensor(about: Fields, part: Any) -> Encoded:
    """One tensor, looked through: decoding it cannot fail. `part(name)` reads an array."""
    encoding, shape = about.text("encoding"), _shape(about)
    made: Encoded
    if encoding == "dense":
        made = Dense(part("values"))
        if made.values.shape != shape:
            raise ValueError(f"{about.path} has another shape than it says")
        return made
    if encoding == "sparse-mask":
        made = SparseMask(shape, _bytes(part("mask")), _flat(part("values")))
    elif encoding == "sparse-delta":
        gaps = _bytes(part("gaps"))
        made = SparseDelta(shape, about.integer("width"), about.integer("gaps"), gaps, _flat(part("values")))
    elif encoding == "codebook":
        codebook = part("codebook")
        if codebook.ndim != 2 or codebook.dtype != np.float16 or 0 in codebook.shape:
            raise ValueError(f"the codebook of {about.path} is no table of float16")
        made = Coded(shape, codebook, _bytes(part("indices")))
    else:
        raise ValueError(f"{about.path} has the unknown encoding {encoding!r}")
    decode(made)
    return made


def _shape(about: Fields) -> tuple[int, ...]:
    found = about.raw("shape")
    if not isinstance(found, list) or not all(type(size) is int and size >= 0 for size in found):
        raise ValueError(f"the shape of {about.path} is no list of sizes")
    if math.prod(found) > MOST_ELEMENTS:
        raise ValueError(f"{about.path} has more than {MOST_ELEMENTS} elements")
    return tuple(found)


def _bytes(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ValueError("packed numbers are not bytes")
    return array


def _flat(array: np.ndarray) -> np.ndarray:
    if array.ndim != 1:
        raise ValueError("values are not one behind the other")
    return array
