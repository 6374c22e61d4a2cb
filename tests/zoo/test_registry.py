from __future__ import annotations

import pytest
import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.zoo import NETS, build

PARAMETERS = {
    "lenet300": 266_610,
    "lenet5": 431_080,
    "resnet8": 78_042,
    "resnet20": 272_474,
    "vgg8": 1_739_210,
    "ds_cnn": 23_180,
    "ds_cnn_large": 413_736,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v2_small": 132_074,
    "efficientnet_b0": 5_288_548,
    "squeezenet": 1_235_496,
    "inception_v2": 11_285_224,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
}


def test_every_net_has_its_published_number_of_parameters() -> None:
    counted = {name: sum(p.numel() for p in build(name)[0].parameters()) for name in NETS}
    assert counted == PARAMETERS


@pytest.mark.parametrize("name", NETS)
def test_output_is_finite_and_of_a_sane_scale(name: str) -> None:
    module, inputs = build(name)
    assert not module.training
    assert inputs[0].shape == (1, *NETS[name].data_shape)
    with torch.no_grad():
        output = module(*inputs)
    assert output.shape == (1, NETS[name].classes)
    # Denormals or infinities in an untrained net would make its timings and comparisons worthless.
    assert 1e-2 < float(output.std()) < 1e3


@pytest.mark.parametrize("name", ["lenet5", "resnet8"])
def test_the_same_name_is_the_same_net_and_the_random_state_is_untouched(name: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, first_inputs = build(name)
    assert torch.equal(torch.rand(3), expected)
    second, second_inputs = build(name)
    assert torch.equal(first_inputs[0], second_inputs[0])
    for key, values in first.state_dict().items():
        assert torch.equal(values, second.state_dict()[key]), key


@pytest.mark.parametrize("name", NETS)
def test_nets_adapt_to_the_data(name: str) -> None:
    size = max(NETS[name].min_size, 8)
    module, inputs = build(name, (2, size, size + 3), 7)
    assert module(inputs[0].repeat(3, 1, 1, 1)).shape == (3, 7)
    module.train()
    module(torch.randn(4, 2, size, size + 3)).sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_lenet5_is_caffes() -> None:
    shapes = {key: tuple(values.shape) for key, values in build("lenet5")[0].state_dict().items()}
    assert shapes["conv1.weight"] == (20, 1, 5, 5)
    assert shapes["conv2.weight"] == (50, 20, 5, 5)
    assert shapes["fc1.weight"] == (500, 800)
    assert shapes["fc2.weight"] == (10, 500)


def test_resnets_project_where_the_shape_changes_and_only_there() -> None:
    for name, projections in (("resnet8", 2), ("resnet20", 2), ("resnet18", 3)):
        convolutions = [m for m in build(name)[0].modules() if isinstance(m, nn.Conv2d)]
        assert sum(c.kernel_size == (1, 1) for c in convolutions) == projections


def test_resnet50_strides_in_its_3x3_convolutions() -> None:
    strided = [m for m in build("resnet50")[0].modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert sorted(c.kernel_size for c in strided) == [(1, 1)] * 3 + [(3, 3)] * 3 + [(7, 7)]  # 1×1: the shortcuts


def test_keyword_nets_halve_the_spectrogram_as_published() -> None:
    for name, size in (("ds_cnn", (25, 5)), ("ds_cnn_large", (13, 5))):
        module, inputs = build(name)
        assert module.features(inputs[0]).shape[2:] == size


def test_efficientnet_gates_every_block_by_a_quarter_of_its_input() -> None:
    widths = [m.reduce.out_channels for m in build("efficientnet_b0")[0].modules() if hasattr(m, "reduce")]
    assert widths == [8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48]


def test_mobilenet_has_a_residual_in_ten_of_its_seventeen_blocks() -> None:
    blocks = [m for m in build("mobilenet_v2")[0].modules() if hasattr(m, "residual")]
    assert (len(blocks), sum(block.residual for block in blocks)) == (17, 10)


def test_vgg8_is_plain() -> None:
    module, _ = build("vgg8")
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 64, 128, 128, 256, 256, 256]
    assert {(c.kernel_size, c.stride, c.groups) for c in convolutions} == {((3, 3), (1, 1), 1)}
    chain = nn.Sequential(*module.features, module.pool, module.flatten, module.fc)  # nothing goes around a layer
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(module(x), chain(x))


def test_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no model 'resnet9': it has lenet300, .*did you mean zoo:resnet8\?"):
        build("resnet9")


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((1, 8, 8), 10, r"zoo:lenet5 needs images of at least 28×28, not 8×8"),
        ((0, 28, 28), 10, r"cannot be built for data shape \(0, 28, 28\)"),
        ((1, 28, 28), 0, r"0 classes"),
    ],
)
def test_impossible_shapes(shape: tuple[int, int, int], classes: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build("lenet5", shape, classes)
