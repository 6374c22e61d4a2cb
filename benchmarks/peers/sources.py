"""The model's files that every peer starts from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.peers.peer import INPUTS_FILE, MODEL_FILE


def write_source(module: nn.Module, example_inputs: Sequence[torch.Tensor], folder: Path) -> None:
    """Write the exported model and its example inputs into `folder`."""
    torch.export.save(torch.export.export(module.eval(), tuple(example_inputs)), folder / MODEL_FILE)
    for index, value in enumerate(example_inputs):
        np.save(folder / INPUTS_FILE.format(index), value.numpy())


def read_source(folder: Path) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """The module and the example inputs of `folder`."""
    module: Any = torch.export.load(folder / MODEL_FILE).module()
    count = len(list(folder.glob(INPUTS_FILE.format("*"))))
    inputs = [torch.from_numpy(np.load(folder / INPUTS_FILE.format(index))) for index in range(count)]
    return module, tuple(inputs)


def write_onnx(folder: Path, name: str) -> Path:
    """The model in ONNX's format."""
    module, inputs = read_source(folder)
    module.train = lambda mode=True: module  # type: ignore[method-assign]  # exported programs have no modes to switch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its own deprecations
        torch.onnx.export(module, inputs, str(folder / name), dynamo=False, opset_version=17)
    return folder / name
