from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from hwaware.zoo.batches import Batches


def numbered(count: int, size: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that carry their own index in every pixel."""
    index = torch.arange(count)
    return index.float().view(count, 1, 1, 1).expand(count, 1, size, size), index


def order(batches: Batches) -> list[int]:
    return [int(label) for _, y in batches for label in y]


@given(count=st.integers(1, 40), batch=st.integers(1, 45), seed=st.integers(0, 2**31))
def test_an_epoch_is_a_permutation_in_whole_batches(count: int, batch: int, seed: int) -> None:
    x, y = numbered(count)
    batches = Batches(x, y, batch, seed=seed)
    sizes = []
    seen: list[int] = []
    for images, labels in batches:
        assert torch.equal(images.flatten().long(), labels)
        sizes.append(len(labels))
        seen += labels.tolist()
    assert len(sizes) == len(batches)
    assert len(set(seen)) == len(seen)
    assert set(sizes) == {min(batch, count)}


@given(count=st.integers(1, 40), batch=st.integers(1, 45))
def test_evaluation_sees_everything_in_order(count: int, batch: int) -> None:
    batches = Batches(*numbered(count), batch)
    assert order(batches) == order(batches) == list(range(count))
    assert len(list(batches)) == len(batches)


def test_each_pass_is_the_next_epoch_and_epochs_can_be_repeated() -> None:
    batches = Batches(*numbered(64), 8, seed=1)
    first, second = order(batches), order(batches)
    assert first != second
    batches.set_epoch(0)
    assert [order(batches), order(batches)] == [first, second]
    assert order(Batches(*numbered(64), 8, seed=2)) != first


def test_shift_moves_each_image_by_its_own_few_pixels() -> None:
    x = torch.zeros(200, 2, 7, 7)
    x[:, :, 3, 3] = 1
    ((moved, _),) = Batches(x, torch.arange(200), 200, seed=0, shift=2)
    assert torch.equal(moved.sum(dim=(2, 3)), torch.ones(200, 2))
    assert torch.equal(moved[:, 0], moved[:, 1])
    places = {(int(image[0].argmax()) // 7 - 3, int(image[0].argmax()) % 7 - 3) for image in moved}
    assert places == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_shift_repeats_the_border() -> None:
    x, y = numbered(5, size=4)
    for images, labels in Batches(x, y, 5, seed=0, shift=3):
        assert torch.equal(images.mean(dim=(1, 2, 3)).long(), labels)
