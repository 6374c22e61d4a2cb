"""A compressed model on disk: ``model.json`` (structure) beside its weights; no pickle, no code.

The weights are ``weights.safetensors``, or, where layers decode sparse weights or codebooks, ``encoded.safetensors``,
which holds neither a zero nor a spare bit (docs/encoding.md).

``model.json``: ``schema_version``, ``kind`` ("hwaware-model"), ``weights`` {file, sha256}, ``graph``, ``batch`` (of the
example inputs, null for a graph of one size) and ``extra`` (whatever the writer adds, a plan for one). Written to a
temporary sibling that is renamed, so that a directory under the final name is always complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as format_tensors

from hwaware.encoding.container import formatted
from hwaware.encoding.container import load as load_encoded
from hwaware.errors import ArtifactError, ModelError
from hwaware.graph.execute import infer
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel, examples
from hwaware.graph.packing import is_packed, packed, unpacked
from hwaware.graph.wire import from_wire, outline, to_wire

SCHEMA_VERSION = 1
KIND = "hwaware-model"
MODEL, WEIGHTS, ENCODED = "model.json", "weights.safetensors", "encoded.safetensors"
_FIELDS = {"schema_version", "kind", "weights", "graph", "batch", "extra"}
_MOST_BATCH = 65536


def save(model: GraphModel, directory: Path | str, *, extra: Mapping[str, Any] | None = None) -> None:
    """Write `model` as `directory`, replacing a model that is there; `extra` must be plain JSON.

    Raises `ArtifactError` for weights that are NaN, for `extra` that is not JSON, for a directory that holds
    something else, and when the disk refuses; nothing is left half-written.
    """
    target = Path(directory)
    graph = model.graph
    _check_finite(graph.tensors, graph.parameters, target)
    if is_packed(graph):
        file, blob = ENCODED, formatted(packed(graph))
    else:
        file, blob = WEIGHTS, format_tensors({name: tensor.contiguous() for name, tensor in graph.tensors.items()})
    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "weights": {"file": file, "sha256": hashlib.sha256(blob).hexdigest()},
        "graph": to_wire(graph),
        "batch": int(model.example_inputs[0].shape[0]) if graph.batched else None,
        "extra": dict(extra or {}),
    }
    try:
        text = json.dumps(document, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{target}: extra cannot be written as JSON: {error}") from error
    if target.exists() and not _replaceable(target):
        raise ArtifactError(f"{target} exists and is not a model of hwaware: choose another directory")
    temporary = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        temporary.mkdir(parents=True)
        (temporary / file).write_bytes(blob)
        (temporary / MODEL).write_text(text + "\n", encoding="utf-8")
        _move(temporary, target)
    except OSError as error:
        raise ArtifactError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load(directory: Path | str) -> GraphModel:
    """The model saved in `directory`, in evaluation mode.

    Raises `ArtifactError` naming the file and what is wrong with it: missing, truncated, of a foreign schema,
    weights that are not the recorded ones or NaN, an operator hwaware does not know, shapes that do not fit.
    """
    path = Path(directory) / MODEL
    document = _document(path)
    weights, blob = _weights(Path(directory), document["weights"])
    try:
        # Only what is encoded needs to be told what the graph makes of it.
        described = outline(document["graph"]) if weights.name == ENCODED else None
    except ArtifactError as error:
        raise _corrupt(path, error) from error
    tensors = _tensors(weights, blob, described)
    try:
        graph = from_wire(document["graph"], tensors)
    except ArtifactError as error:
        raise _corrupt(path, error) from error
    _check_finite(tensors, graph.parameters, weights)
    _check_shapes(graph, path)
    return GraphModel(graph, examples(graph, _batch(document["batch"], graph, path))).eval()


def _batch(stored: object, graph: Graph, path: Path) -> int | None:
    """Batch size of the example inputs; a graph for one size only has none of its own."""
    if not graph.batched and stored is None:
        return None
    if not graph.batched or not isinstance(stored, int) or not 1 <= stored <= _MOST_BATCH:
        raise ArtifactError(f"{path} is corrupt: its batch is {str(stored)[:20]}; compress again")
    return stored


def load_extra(directory: Path | str) -> dict[str, Any]:
    """What `save` was given as `extra`; raises `ArtifactError` like `load`."""
    return dict(_document(Path(directory) / MODEL)["extra"])


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read ({error.strerror or error}): name a directory that hwaware compress wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON ({error}): restore the file or compress again") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ArtifactError(f"{path} is not a model of hwaware: its kind is not {KIND!r}")
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ArtifactError(
            f"{path} has schema version {version!r}, this hwaware reads {SCHEMA_VERSION}: compress again"
        )
    if set(document) != _FIELDS or not isinstance(document["extra"], dict):
        raise ArtifactError(f"{path} is corrupt: its fields are not {', '.join(sorted(_FIELDS))}")
    return document


def _weights(directory: Path, recorded: object) -> tuple[Path, bytes]:
    """The file of weights, which is the one that was written, and what is in it."""
    encoded = isinstance(recorded, dict) and recorded.get("file") == ENCODED
    path = directory / (ENCODED if encoded else WEIGHTS)
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}") from error
    digest = hashlib.sha256(blob).hexdigest()
    if recorded != {"file": path.name, "sha256": digest}:
        raise ArtifactError(f"{path} is not the file that {MODEL} names (sha256 {digest[:12]}…): compress again")
    return path, blob


def _tensors(path: Path, blob: bytes, graph: Graph | None) -> dict[str, torch.Tensor]:
    try:
        return parse_tensors(blob) if graph is None else unpacked(load_encoded(path), graph)
    except (SafetensorError, ValueError, KeyError, OverflowError, ModelError) as error:
        raise ArtifactError(f"{path} is corrupt: {error}") from error


def _corrupt(path: Path, error: ArtifactError) -> ArtifactError:
    return ArtifactError(f"{path} is corrupt: {error}; restore the directory or compress again")


def _check_finite(tensors: Mapping[str, torch.Tensor], parameters: frozenset[str], path: Path) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        # A constant may hold infinities (attention masks do); nothing may hold NaN.
        bad = ~torch.isfinite(tensor) if name in parameters else torch.isnan(tensor)
        if bool(bad.any()):
            raise ArtifactError(f"{path}: tensor {name!r} holds NaN or infinite values: train the model again")


def _check_shapes(graph: Graph, path: Path) -> None:
    try:
        inferred = infer(graph, graph.inputs)
    except Exception as error:  # ATen raises many kinds for arguments that make no sense
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(f"{path} is corrupt: the graph cannot run: {reason[:300]}") from error
    for node, again in zip(graph.nodes, inferred.nodes, strict=True):
        if node.spec != again.spec:
            raise ArtifactError(f"{path} is corrupt: node {node.name!r} yields {again.spec}, not {node.spec}")


def _replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / MODEL).is_file() or not any(target.iterdir()))


def _move(temporary: Path, target: Path) -> None:
    if not target.exists():
        os.rename(temporary, target)
        return
    aside = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    os.rename(target, aside)
    os.rename(temporary, target)
    shutil.rmtree(aside)
