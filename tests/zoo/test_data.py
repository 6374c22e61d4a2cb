from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from hwaware.errors import TaskError
from hwaware.zoo.data import load
from tests.zoo.idx_files import write, write_dataset

SHARED = Path(os.environ.get("HWAWARE_SHARED", Path(__file__).parents[3] / "shared"))
MNIST = SHARED / "data" / "mnist"


def test_digits_are_split_once_and_for_all() -> None:
    data, again = load("digits"), load("digits")
    assert data.train_x.shape == (1297, 1, 8, 8)
    assert data.test_x.shape == (500, 1, 8, 8)
    assert (data.classes, data.name, data.shape) == (10, "digits", (1, 8, 8))
    assert torch.equal(data.train_x, again.train_x)
    assert torch.equal(data.test_y, again.test_y)
    # Stratified: every class has its tenth of the test images.
    assert all(45 <= count <= 55 for count in data.test_y.bincount().tolist())


def test_digits_do_not_leak_into_the_test_images() -> None:
    data = load("digits")
    train = {image.numpy().tobytes() for image in data.train_x}
    assert not any(image.numpy().tobytes() in train for image in data.test_x)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("kind", ["idx", "mnist"])
def test_idx_folder(tmp_path: Path, kind: str, ending: str) -> None:
    data = load(f"{kind}:{write_dataset(tmp_path / 'a:b@c', ending=ending)}")
    assert (data.shape, data.classes, data.name) == ((1, 9, 9), 3, kind)
    assert data.train_x.dtype == data.test_x.dtype == torch.float32
    assert data.train_y.dtype == data.test_y.dtype == torch.int64
    assert float(data.train_x.mean()) == pytest.approx(0, abs=1e-4)
    assert float(data.train_x.std()) == pytest.approx(1, abs=1e-3)
    # The bright row of an image is its label: images and labels have kept their order.
    assert torch.equal(data.test_x[:, 0].mean(dim=2).argmax(dim=1), 3 * data.test_y + 1)


def test_colour_images(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    colours = np.random.default_rng(0).integers(0, 256, (40, 3, 9, 9), dtype=np.uint8)
    for prefix, count in (("train", 40), ("t10k", 20)):
        (tmp_path / f"{prefix}-images-idx3-ubyte").unlink()
        write(tmp_path / f"{prefix}-images-idx4-ubyte", colours[:count])
    assert load(f"idx:{tmp_path}").shape == (3, 9, 9)


def test_small_images_are_scaled_up_and_large_ones_left() -> None:
    assert load("digits", 28).shape == (1, 28, 28)
    assert load("digits", 8).shape == (1, 8, 8)
    small, large = load("digits"), load("digits", 16)
    # Bilinear: no new extremes, and averaging back gives nearly the same picture.
    assert float(large.test_x.max()) <= float(small.test_x.max())
    back = torch.nn.functional.avg_pool2d(large.test_x, 2)
    assert float((back - small.test_x).abs().mean()) < 0.2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", r"unknown data 'digit': known are digits, mnist:DIR, idx:DIR; did you mean digits\?"),
        ("cifar", "unknown data 'cifar': known are"),
        ("mnist", "lacks the folder of the IDX files; write mnist:DIR"),
        ("idx:", "write idx:DIR"),
        ("digits:8", "unknown data"),
        ("idx:/nowhere/at/all", "/nowhere/at/all: no such folder"),
    ],
)
def test_bad_specs(spec: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load(spec)


def test_contradictions_between_files(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    write(folder / "t10k-labels-idx1-ubyte", np.zeros(19, np.uint8))
    with pytest.raises(TaskError, match="t10k-labels-idx1-ubyte: 19 labels for the 20 images of t10k-images"):
        load(f"idx:{folder}")
    write(folder / "t10k-labels-idx1-ubyte", np.zeros((20, 2), np.uint8))
    with pytest.raises(TaskError, match="t10k-labels-idx1-ubyte: 2 dimensions; labels have 1"):
        load(f"idx:{folder}")
    write(folder / "t10k-images-idx3-ubyte", np.zeros((20, 81), np.uint8))
    with pytest.raises(TaskError, match="t10k-images-idx3-ubyte: 2 dimensions; images have 3"):
        load(f"idx:{folder}")


def test_splits_of_different_sizes_and_blank_images(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    write(folder / "t10k-images-idx3-ubyte", np.zeros((20, 9, 8), np.uint8))
    with pytest.raises(TaskError, match=r"training images are \(9, 9\), test images \(9, 8\)"):
        load(f"idx:{folder}")
    write_dataset(tmp_path)
    write(folder / "train-images-idx3-ubyte", np.full((40, 9, 9), 7, np.uint8))
    with pytest.raises(TaskError, match="every pixel of the training images is the same"):
        load(f"idx:{folder}")


# The real files are not everywhere. The condition is on the definition, so that nothing is skipped.
if MNIST.is_dir():

    def test_real_mnist() -> None:
        data = load(f"mnist:{MNIST}")
        assert data.train_x.shape == (60_000, 1, 28, 28)
        assert data.test_x.shape == (10_000, 1, 28, 28)
        assert data.classes == 10
        assert data.train_y[:5].tolist() == [5, 0, 4, 1, 9]
