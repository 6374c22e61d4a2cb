"""Reading `FILE.pt2`, written by `torch.export.save`.

torch reads parts of such a file with pickle, symbolic shapes with `eval`, and does not verify the archive's
checksums. A model file is data, not code, so what could run code is refused before torch sees the file.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from hwaware.errors import ModelError

# Members that torch unpickles or loads as machine code.
_CODE = ("custom_obj", "opaque_obj", "aotinductor")
_SAFE_LOAD = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def load_exported(path: Path) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The module saved in `path` and the example inputs saved with it.

    Raises ModelError for a file that is missing, corrupt, written by an old torch, or carries code, dynamic
    shapes or no example inputs.
    """
    _inspect(path)
    try:
        # What quantised models call; torch registers it only when this is imported.
        importlib.import_module("torch.ao.quantization.fx._decomposed")
        with _guarded():
            program = torch.export.load(path)
            module = program.module()
    except UnpicklingError as error:
        raise ModelError(f"{path}: holds pickled objects other than tensors; export it again") from error
    except Exception as error:
        reason = (str(error).strip() or "no message").splitlines()[0]
        raise ModelError(f"{path}: torch {torch.__version__} cannot load it: {reason}") from error
    if program.example_inputs is None:
        raise ModelError(f"{path}: saved without example inputs; export it again with this torch")
    inputs, keywords = program.example_inputs
    if keywords or not inputs or not all(isinstance(x, Tensor) for x in inputs):
        raise ModelError(f"{path}: its example inputs are not positional tensors only; export it again so")
    return module, tuple(inputs)


def _inspect(path: Path) -> None:
    """Refuse a broken archive and one whose loading could run code."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            names = archive.namelist()
            models = [json.loads(archive.read(name)) for name in names if _is_model(name)]
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path}: corrupt, or not written by torch.export.save: {error}") from error
    if broken is not None:
        raise ModelError(f"{path}: corrupt: the checksum of {broken} is wrong; copy or export it again")
    if not models or not any(name.endswith("archive_format") for name in names):
        raise ModelError(f"{path}: not a file of torch.export.save, or of a torch before 2.8; export it again")
    for name in names:
        if any(word in name for word in _CODE):
            raise ModelError(f"{path}: carries {name}, which is code; export a model of tensors only")
    # Rendered again, so that no spelling of the key (escapes) hides it.
    if any('"expr_str"' in json.dumps(model) for model in models):
        raise ModelError(f"{path}: has dynamic shapes; export it again without dynamic_shapes")


def _is_model(name: str) -> bool:
    return "models/" in name and name.endswith(".json")


@contextmanager
def _guarded() -> Iterator[None]:
    """Torch unpickling tensors only, and not printing the traceback that our error line stands for."""
    logger = logging.getLogger("torch.export")
    level, previous = logger.level, os.environ.get(_SAFE_LOAD)
    logger.setLevel(logging.CRITICAL)
    os.environ[_SAFE_LOAD] = "1"
    try:
        yield
    finally:
        logger.setLevel(level)
        if previous is None:
            del os.environ[_SAFE_LOAD]
        else:
            os.environ[_SAFE_LOAD] = previous
