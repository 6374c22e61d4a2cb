"""The archive the agent was started from: tables, weights and the library of kernels."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device_agents.tvm.faults import Fault
from device_agents.tvm.tables import Tables

_FOLDER = "payload"
_LIBRARY = "model.so"


@dataclass(frozen=True)
class Payload:
    """An archive's contents."""

    archive: Path

    @classmethod
    def find(cls) -> Payload:
        """What this very file was loaded from. Raises Fault where that is no archive."""
        for parent in Path(__file__).parents:
            if parent.is_file():
                return cls(parent.absolute())
        raise Fault("this agent carries no kernels: it was not started from an archive")

    def tables(self) -> Tables:
        """Raises Fault where the archive holds none, or damaged ones."""
        return Tables.of(json.loads(self._read("tables.json")))

    def weights(self) -> bytes:
        """The model's weights."""
        return self._read("weights.bin")

    @contextmanager
    def library(self) -> Iterator[Path]:
        """The library as a file, which may go as soon as it is loaded.

        Beside the archive: there a program may be run, as in many a /tmp it may not.
        """
        with tempfile.TemporaryDirectory(dir=self.archive.parent, prefix=".kernels-") as folder:
            path = Path(folder) / _LIBRARY
            path.write_bytes(self._read(_LIBRARY))
            yield path

    def _read(self, name: str) -> bytes:
        try:
            with zipfile.ZipFile(self.archive) as archive:
                return archive.read(f"{_FOLDER}/{name}")
        except KeyError as error:
            raise Fault(f"this agent carries no {name}") from error
        except (OSError, zipfile.BadZipFile) as error:
            raise Fault(f"the agent's archive cannot be read: {error}") from error
