"""The reference nets by name, built with seeded weights: the same name is the same net on every call."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.zoo.ds_cnn import ds_cnn_large, ds_cnn_small
from hwaware.zoo.efficientnet import EfficientNetB0
from hwaware.zoo.inception import InceptionV2
from hwaware.zoo.lenet import LeNet5, LeNet300
from hwaware.zoo.mobilenet import MobileNetV2
from hwaware.zoo.mobilenet_small import MobileNetV2Small
from hwaware.zoo.mobilenet_v1 import MobileNetV1
from hwaware.zoo.resnet import resnet8, resnet18, resnet20, resnet50
from hwaware.zoo.squeezenet import SqueezeNet
from hwaware.zoo.vgg import VGG8

SEED = 0


@dataclass(frozen=True)
class Net:
    """One reference net."""

    make: Callable[[tuple[int, int, int], int], nn.Module]
    data_shape: tuple[int, int, int]  # default (channels, height, width) of one input
    classes: int  # default width of the output
    # Fewest pixels of height and width. Data with smaller images (digits: 8×8) is scaled up to this, so that
    # the deeper stages still have an image to convolve.
    min_size: int


NETS = {
    "lenet300": Net(LeNet300, (1, 28, 28), 10, 1),
    "lenet5": Net(LeNet5, (1, 28, 28), 10, 28),
    "resnet8": Net(resnet8, (3, 32, 32), 10, 16),
    "resnet20": Net(resnet20, (3, 32, 32), 10, 16),
    "vgg8": Net(VGG8, (3, 32, 32), 10, 8),
    "ds_cnn": Net(ds_cnn_small, (1, 49, 10), 12, 8),
    "ds_cnn_large": Net(ds_cnn_large, (1, 49, 10), 12, 8),
    "mobilenet_v2_small": Net(MobileNetV2Small, (1, 28, 28), 10, 16),
    "mobilenet_v1": Net(MobileNetV1, (3, 224, 224), 1000, 32),
    "mobilenet_v2": Net(MobileNetV2, (3, 224, 224), 1000, 32),
    "efficientnet_b0": Net(EfficientNetB0, (3, 224, 224), 1000, 32),
    "squeezenet": Net(SqueezeNet, (3, 224, 224), 1000, 32),
    "inception_v2": Net(InceptionV2, (3, 224, 224), 1000, 32),
    "resnet18": Net(resnet18, (3, 224, 224), 1000, 32),
    "resnet50": Net(resnet50, (3, 224, 224), 1000, 32),
}


def find(name: str) -> Net:
    """The entry of `name`; ModelError with the known names where there is none."""
    if name in NETS:
        return NETS[name]
    close = difflib.get_close_matches(name, NETS, n=1, cutoff=0.5)
    hint = f"; did you mean zoo:{close[0]}?" if close else ""
    raise ModelError(f"the zoo has no model {name!r}: it has {', '.join(NETS)}{hint}")


def build(
    name: str, data_shape: tuple[int, int, int] | None = None, classes: int | None = None
) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """The untrained net `name` in eval mode and its example inputs, one float32 tensor (1, C, H, W).

    `data_shape` (channels, height, width) and `classes` default to the net's own. Weights and inputs come
    from fixed seeds; the global random state is left as it was. Inputs are normally distributed, not zeros,
    so that an error in a kernel shows.

    Raises ModelError for an unknown name or a shape the net cannot take.
    """
    net = find(name)
    shape = net.data_shape if data_shape is None else data_shape
    outputs = net.classes if classes is None else classes
    if len(shape) != 3 or min(shape) < 1 or outputs < 1:
        raise ModelError(f"zoo:{name} cannot be built for data shape {shape} and {outputs} classes")
    if min(shape[1:]) < net.min_size:
        size = f"{shape[1]}×{shape[2]}"
        raise ModelError(f"zoo:{name} needs images of at least {net.min_size}×{net.min_size}, not {size}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module = net.make(shape, outputs)
        _initialise(module)
        inputs = torch.randn(1, *shape)
    return module.eval(), (inputs,)


def _initialise(module: nn.Module) -> None:
    """He normal by fan-in; by fan-out untrained depthwise layers would shrink their signal to denormals."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
