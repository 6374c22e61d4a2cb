"""A training's state after its last whole epoch, on disk: ``NAME.json`` beside ``NAME.EPOCH.safetensors``.

``NAME.json``: ``schema_version``, ``kind`` ("hwaware-checkpoint"), ``training`` (the arguments, and ``about`` what the
caller knows), ``epoch`` (epochs that are over; all of them: the training is done), ``batches`` (steps of an epoch),
``states`` (of other objects, see `stateful`) and ``sha256`` of the tensors. It is renamed into place behind the
tensors it speaks of, so that what is found is a whole epoch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as format_tensors
from torch import Tensor

from hwaware.errors import ArtifactError
from hwaware.fields import Fields
from hwaware.files import Document, read_json, write_bytes_atomic, write_text_atomic

SCHEMA_VERSION = 1
KIND = "hwaware-checkpoint"

Arguments = Mapping[str, str | int | float | bool | list[str]]


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint holds besides the arguments of its training."""

    epoch: int  # epochs that are over
    batches: int  # steps of an epoch
    states: list[Any]  # JSON
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """Where a training leaves its state behind every epoch, and where the same training goes on from.

    `name` is the phase; several share a folder. `about` is what tells one training from another besides the
    arguments of `fit`: the budget, digests of the cost table and of the weights it starts from. Raises ArtifactError
    for a name that is no file name.
    """

    folder: Path
    name: str
    about: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w-]*", self.name, re.ASCII):
            raise ArtifactError(f"{self.name!r} cannot name a checkpoint: take letters, digits, '_' and '-'")

    @property
    def path(self) -> Path:
        """The file that says whether there is a checkpoint."""
        return self.folder / f"{self.name}.json"

    def load(self, arguments: Arguments) -> Snapshot | None:
        """What was written for the training with `arguments`; None where nothing was.

        Raises ArtifactError for one of another training, a damaged one, and a folder that cannot be written.
        """
        try:
            # Now rather than after an epoch.
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArtifactError(f"cannot write {self.folder}: {error.strerror}; choose another --out") from error
        if not self.path.exists():
            return None
        top = Fields(str(self.path), "", read_json(self.path, self._document), self._document)
        if top.values.get("kind") != KIND:
            raise self.corrupt(f"its kind is not {KIND!r}")
        if top.values.get("schema_version") != SCHEMA_VERSION:
            raise self.corrupt(f"this hwaware reads schema version {SCHEMA_VERSION}")
        self._compare(top.section("training").values, arguments)
        epoch, batches, states = top.integer("epoch"), top.integer("batches"), top.raw("states")
        if not isinstance(states, list):
            raise top.error("states", "must be a list")
        return Snapshot(epoch, batches, states, self._tensors(epoch, top.text("sha256")))

    def save(self, arguments: Arguments, snapshot: Snapshot) -> None:
        """Replace what is there, at once. Raises ArtifactError."""
        try:
            blob = format_tensors(dict(snapshot.tensors))
            document = {
                "schema_version": SCHEMA_VERSION,
                "kind": KIND,
                "training": self._described(arguments),
                "epoch": snapshot.epoch,
                "batches": snapshot.batches,
                "states": snapshot.states,
                "sha256": hashlib.sha256(blob).hexdigest(),
            }
            text = json.dumps(document, indent=1, allow_nan=False)
        except (TypeError, ValueError, SafetensorError) as error:
            raise ArtifactError(f"no checkpoint can be written to {self.path}: {error}") from error
        ours = self._weights(snapshot.epoch)
        write_bytes_atomic(ours, blob, ArtifactError)
        write_text_atomic(self.path, text + "\n", ArtifactError)
        for path in self.folder.iterdir():
            if re.fullmatch(rf"{self.name}\.\d+\.safetensors", path.name) and path != ours:
                path.unlink(missing_ok=True)

    def other(self, difference: str) -> ArtifactError:
        """The refusal of what another training left."""
        return ArtifactError(f"{self.path} is a checkpoint of another training: {difference}; {self._document.remedy}")

    def corrupt(self, problem: str) -> ArtifactError:
        """The refusal of a damaged file."""
        return ArtifactError(f"{self.path} is not a usable checkpoint: {problem}; {self._document.remedy}")

    @property
    def _document(self) -> Document:
        return Document("checkpoint", f"delete {self.folder} or choose another --out", ArtifactError)

    def _weights(self, epoch: int) -> Path:
        return self.folder / f"{self.name}.{epoch}.safetensors"

    def _described(self, arguments: Arguments) -> dict[str, Any]:
        return {**arguments, "about": dict(self.about)}

    def _compare(self, there: Mapping[str, Any], arguments: Arguments) -> None:
        found, wanted = _flat(there), _flat(self._described(arguments))
        differences = [
            f"{name} is {_shown(found, name)} there and {_shown(wanted, name)} here"
            for name in {**wanted, **found}
            if found.get(name) != wanted.get(name)
        ]
        if differences:
            raise self.other(", ".join(differences[:4]))

    def _tensors(self, epoch: int, sha256: str) -> dict[str, Tensor]:
        path = self._weights(epoch)
        try:
            blob = path.read_bytes()
        except OSError as error:
            raise self.corrupt(f"{path.name} cannot be read ({error.strerror})") from error
        if hashlib.sha256(blob).hexdigest() != sha256:
            raise self.corrupt(f"{path.name} is not the file that it names")
        try:
            return parse_tensors(blob)
        except (SafetensorError, ValueError, KeyError, OverflowError) as error:
            raise self.corrupt(f"{path.name}: {error}") from error


def _flat(described: Mapping[str, Any]) -> dict[str, Any]:
    about = described.get("about")
    return {**described, **(about if isinstance(about, dict) else {}), "about": None}


def _shown(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return "absent" if value is None else json.dumps(value)[:60]
