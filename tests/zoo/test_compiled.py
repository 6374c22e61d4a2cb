"""The reference nets compile whole and agree with PyTorch, at sizes that leave odd edges behind every stride."""

from __future__ import annotations

import pytest
import torch

from hwaware.zoo import NETS, build
from tests.compiler.inprocess import check

SHAPES = {
    "ds_cnn": (1, 49, 10),
    "ds_cnn_large": (1, 49, 10),
    "vgg8": (3, 19, 13),
    "mobilenet_v1": (3, 45, 37),
    "efficientnet_b0": (3, 45, 37),
    "squeezenet": (3, 45, 51),
    "inception_v2": (3, 45, 51),
    "mobilenet_v2_small": (1, 17, 19),
    "resnet50": (3, 45, 37),
}


@pytest.mark.parametrize("name", SHAPES)
def test_agrees_with_pytorch(name: str) -> None:
    module, _ = build(name, SHAPES[name], NETS[name].classes // 4 + 1)
    check(module, torch.randn(2 if name.startswith("ds_cnn") else 1, *SHAPES[name]))
