"""Where levels begin and end."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwaware.compression.quantize.choices import everywhere
from hwaware.compression.quantize.placement import Placement, placement
from hwaware.graph.capture import capture
from hwaware.graph.ir import Graph
from tests.compression.quantize.nets import graph_of, ready


def placed(graph: Graph, without: tuple[str, ...] = ()) -> Placement:
    integer = everywhere(graph, "int8").keys() - set(without)
    return placement(graph, integer.__contains__)


class Net(nn.Module):
    """Three convolutions for tests to join; `how` is their forward."""

    def __init__(self, how: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.three = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return self.how(self, x)  # type: ignore[no-any-return, operator]


def of(how: object) -> Placement:
    return placed(graph_of(Net(how), 4, 8, 8))


def test_a_chain_is_quantised_before_each_layer() -> None:
    place = of(lambda net, x: net.two(torch.relu(net.one(x))))
    assert place.quantised == {"x", "relu"}
    assert not place.moved
    assert not place.dequantised


def test_a_residual_branch_exists_as_levels_only() -> None:
    graph, _ = ready("residual")
    place = placed(graph)
    assert {"relu", "relu_2"} == place.dequantised  # what both an addition and a convolution read
    # Where the addition's other reader is float, so is the value.
    assert placed(graph, ("conv2d_1",)).dequantised == {"relu_2"}


def test_what_only_floats_read_is_not_quantised() -> None:
    place = of(lambda net, x: torch.relu(net.two(torch.relu(net.one(x)))).mean((2, 3)))
    assert place.quantised == {"x", "relu"}


def test_a_value_that_is_returned_or_read_whole_stays_float_as_well() -> None:
    def both(net: Net, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(net.one(x))
        y = functional.avg_pool2d(x, 2)
        return net.two(x) + x, net.three(y) + y

    # relu is pooled and y is read by an addition and a convolution only.
    place = of(both)
    assert place.quantised == {"x", "relu", "avg_pool2d"}
    assert place.dequantised == {"avg_pool2d"}


def test_inputs_are_not_dequantised() -> None:
    place = of(lambda net, x: net.one(x) + x)
    assert place.quantised == {"x"}
    assert not place.dequantised


def test_pools_and_reshapes_work_on_levels() -> None:
    place = of(lambda net, x: net.two(functional.max_pool2d(functional.pad(torch.relu(net.one(x)), (1, 1)), 2)))
    assert place.quantised == {"x", "relu"}
    assert place.moved == {"pad", "max_pool2d"}
    assert place.root == {"x": "x", "relu": "relu", "pad": "relu", "max_pool2d": "relu"}


def test_padding_with_another_number_stays_float() -> None:
    place = of(lambda net, x: net.two(functional.pad(torch.relu(net.one(x)), (1, 1), value=1.0)))
    assert place.quantised == {"x", "pad"}


def test_a_pool_that_a_float_layer_reads_stays_float() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.up = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.ConvTranspose2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = functional.max_pool2d(torch.relu(self.one(x)), 2)
            return self.two(x) + self.up(x)

    place = placed(graph_of(Pooled(), 4, 8, 8))
    assert place.quantised == {"x", "max_pool2d"}
    assert not place.moved


def test_a_concatenation_joins_levels_of_one_scale() -> None:
    graph, _ = ready("fires")
    place = placed(graph)
    assert {"cat", "max_pool2d", "cat_1", "max_pool2d_1"} == place.moved
    assert {place.root[name] for name in ("relu_2", "relu_3", "cat", "max_pool2d")} == {"relu_2"}
    assert {place.root[name] for name in ("relu_5", "relu_6", "cat_1", "max_pool2d_1")} == {"relu_5"}


def test_a_shortcut_of_slices_is_cut_from_levels() -> None:
    graph, _ = ready("padded_shortcut")
    place = placed(graph)
    assert place.moved == {"slice_1", "slice_2", "pad"}
    assert place.dequantised == {"pad"}


def test_constants_are_not_joined_to_levels() -> None:
    def padded(net: Net, x: Tensor) -> Tensor:
        return net.two(torch.cat([torch.zeros(x.shape[0], 2, 8, 8), torch.relu(net.one(x))[:, :2]], 1))

    graph = capture(Net(padded).eval(), (torch.zeros(2, 4, 8, 8),))
    place = placed(graph)
    assert place.quantised == {"x", "cat"}
    assert not place.moved


def test_levels_begin_at_one_place_for_all_readers() -> None:
    graph, _ = ready("inception")
    place = placed(graph)
    assert "relu" in place.quantised  # the stem, read by three branches and an average pool
    assert "relu" not in place.dequantised
