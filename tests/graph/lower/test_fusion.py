"""What joins what: norms into weights, activations and residual additions into the operation before."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tests.compiler.families import program_of
from tests.compiler.inprocess import check
from tests.graph.nets import norm


def kinds(name: str) -> list[str]:
    return [op.kind for op in program_of(name, 1)[1].ops]


def test_a_residual_net_is_its_convolutions() -> None:
    # 7 convolutions, the mean and the head; the image is transposed once, at the edge.
    assert kinds("residual") == ["copy", *["conv2d"] * 7, "reduce", "dense"]
    program = program_of("residual", 1)[1]
    additions = [op for op in program.ops if any(step.name == "add" and step.operand == "full" for step in op.steps)]
    assert len(additions) == 3
    assert all(op.kind == "conv2d" for op in additions)
    assert [step.name for step in additions[0].steps] == ["add", "add", "relu"]


def test_an_inverted_residual_is_its_convolutions() -> None:
    assert kinds("inverted") == ["copy", *["conv2d"] * 4, "reduce", "dense"]


def test_a_plain_net_is_transposed_at_its_edges_only() -> None:
    net = nn.Sequential(nn.Conv2d(3, 7, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(7, 5, 3), nn.Conv2d(5, 3, 1))
    program = check(net, torch.randn(2, 3, 16, 16))
    assert [op.kind for op in program.ops] == ["copy", "conv2d", "pool2d", "conv2d", "conv2d", "copy"]


def test_one_channel_and_one_row_need_no_transpose() -> None:
    net = nn.Sequential(nn.Conv2d(1, 7, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(7, 3))
    assert [op.kind for op in check(net, torch.randn(2, 1, 9, 9)).ops] == ["conv2d", "reduce", "dense"]


def test_equal_layers_share_a_kernel() -> None:
    net = nn.Sequential(*(nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()) for _ in range(4)))
    program = check(net, torch.randn(1, 6, 8, 8))
    convolutions = [op for op in program.ops if op.kind == "conv2d"]
    assert len(convolutions) == 4
    assert len({op.workload for op in convolutions}) == 1


def test_operations_keep_the_path_of_their_module() -> None:
    program = program_of("residual", 1)[1]
    paths = [op.path for op in program.ops if op.kind == "conv2d"]
    assert paths[:3] == ["stem.0", "one.first.0", "one.second.0"]


def test_a_norm_vanishes_into_the_layer_before_it() -> None:
    for layer in (
        nn.Conv2d(6, 9, 3, bias=False),
        nn.Conv2d(6, 9, 3),
        nn.Conv2d(6, 9, 3, groups=3),
        nn.ConvTranspose2d(6, 9, 3, stride=2, groups=3),
    ):
        program = check(nn.Sequential(layer, norm(9)), torch.randn(2, 6, 7, 7))
        (op,) = [op for op in program.ops if op.kind != "copy"]
        assert [step.name for step in op.steps] == ["add"]


def test_two_norms_in_a_row_vanish() -> None:
    program = check(nn.Sequential(nn.Conv2d(3, 5, 1), norm(5), norm(5), nn.ReLU()), torch.randn(2, 3, 4, 4))
    assert [op.kind for op in program.ops] == ["copy", "conv2d", "copy"]


def test_folding_loses_no_accuracy() -> None:
    layer, after = nn.Conv2d(32, 17, 3, bias=True), norm(17)
    with torch.no_grad():
        after.running_var.uniform_(1e-6, 1e4)  # type: ignore[union-attr]
        after.running_mean.normal_(0, 30)  # type: ignore[union-attr]
    check(nn.Sequential(layer, after), torch.randn(2, 32, 6, 6) * 20)


def test_a_norm_behind_an_activation_stays() -> None:
    program = check(nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU(), norm(5)), torch.randn(2, 3, 4, 4))
    (op,) = [op for op in program.ops if op.kind == "conv2d"]
    assert [step.name for step in op.steps] == ["add", "relu", "mul", "add"]


class Apply(nn.Module):
    """A function of some layers and an input."""

    def __init__(self, function: object, *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, *inputs: torch.Tensor) -> object:
        return self.function(*self.layers, *inputs)  # type: ignore[operator]


def one_norm(channels: int) -> nn.BatchNorm1d:
    made, source = nn.BatchNorm1d(channels), norm(channels)
    made.load_state_dict(source.state_dict())
    return made


def test_a_norm_of_another_dimension_is_not_folded() -> None:
    # Tokens and features are equally many: the shapes alone do not tell.
    check(Apply(lambda layer, after, x: after(layer(x)), nn.Linear(5, 6), one_norm(6)), torch.randn(2, 6, 5))
    check(
        Apply(lambda layer, after, x: after(layer(x).transpose(1, 3)), nn.Conv2d(3, 5, 1), norm(5)),
        torch.randn(2, 3, 5, 5),
    )


def test_a_norm_behind_a_reshape_is_not_folded() -> None:
    check(Apply(lambda layer, after, x: after(layer(x).view(2, 3, 2, 2)), nn.Linear(5, 12), norm(3)), torch.randn(2, 5))


def test_a_value_with_two_readers_stays_as_it_is() -> None:
    def both(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = layer(x)
        return y, F.relu(y), y.flatten(1) * 2, y

    check(Apply(both, nn.Conv2d(3, 5, 1)), torch.randn(2, 3, 4, 4))


def test_an_output_that_is_an_input_is_copied() -> None:
    program = check(Apply(lambda x: (x, x.transpose(1, 2))), torch.randn(2, 3, 4))
    assert not {buffer for _, buffer, _ in program.outputs} & {buffer for _, buffer, _ in program.inputs}
