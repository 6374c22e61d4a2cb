"""The data sets by their specs: `digits` (in scikit-learn), `mnist:DIR` and `idx:DIR` (any IDX folder)."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hwaware.errors import TaskError
from hwaware.zoo.idx import find_pair, read_idx

SPECS = ("digits", "mnist:DIR", "idx:DIR")
# A fixed split: 500 images, so that one point of accuracy is five of them.
DIGITS_TEST_IMAGES = 500
DIGITS_SEED = 0


@dataclass(frozen=True)
class Dataset:
    """Images and labels of a classification task, in memory."""

    train_x: Tensor  # float32 (N, C, H, W), mean 0 and deviation 1 over the training images
    train_y: Tensor  # int64 (N,), 0 <= label < classes
    test_x: Tensor  # float32 (M, C, H, W), normalised by the training images' mean and deviation
    test_y: Tensor  # int64 (M,)
    classes: int
    name: str  # the spec without its folder

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.train_x.shape[1:]
        return channels, height, width


def load(spec: str, min_size: int | None = None) -> Dataset:
    """The data set of `spec`, its images scaled up (bilinear) to at least `min_size` pixels either way.

    Raises TaskError for an unknown spec, and naming the file for one that is missing or broken.
    """
    name, _, folder = spec.partition(":")
    if spec == "digits":
        arrays = _digits()
    elif name in ("mnist", "idx") and folder:
        arrays = _idx_folder(Path(folder).expanduser())
    else:
        raise TaskError(_unknown(spec, name))
    train_images, train_labels, test_images, test_labels = arrays
    mean, deviation = float(train_images.mean()), float(train_images.std())
    if deviation == 0:
        raise TaskError(f"data {spec!r}: every pixel of the training images is the same")

    def prepare(images: NDArray[np.uint8]) -> Tensor:
        x = torch.from_numpy(images.astype(np.float32)).sub_(mean).div_(deviation)
        return _at_least(x if x.ndim == 4 else x.unsqueeze(1), min_size or 1)

    return Dataset(
        train_x=prepare(train_images),
        train_y=torch.from_numpy(train_labels.astype(np.int64)),
        test_x=prepare(test_images),
        test_y=torch.from_numpy(test_labels.astype(np.int64)),
        classes=int(max(train_labels.max(), test_labels.max())) + 1,
        name=name,
    )


# Training images, training labels, test images, test labels.
_Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


def _digits() -> _Arrays:
    """1797 images of 8×8 with values 0 to 16, split by class with a fixed seed."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        digits.images.astype(np.uint8),
        digits.target.astype(np.uint8),
        test_size=DIGITS_TEST_IMAGES,
        random_state=DIGITS_SEED,
        stratify=digits.target,
    )
    return train_x, train_y, test_x, test_y


def _idx_folder(folder: Path) -> _Arrays:
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder of IDX files")
    train_x, train_y = _idx_split(folder, "train")
    test_x, test_y = _idx_split(folder, "test")
    if train_x.shape[1:] != test_x.shape[1:]:
        raise TaskError(f"{folder}: training images are {train_x.shape[1:]}, test images {test_x.shape[1:]}")
    return train_x, train_y, test_x, test_y


def _idx_split(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images_path, labels_path = find_pair(folder, split)
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim not in (3, 4):
        raise TaskError(f"{images_path}: {images.ndim} dimensions; images have 3 (N, H, W) or 4 (N, C, H, W)")
    if labels.ndim != 1:
        raise TaskError(f"{labels_path}: {labels.ndim} dimensions; labels have 1")
    if len(images) != len(labels):
        raise TaskError(f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path.name}")
    return images, labels


def _at_least(x: Tensor, size: int) -> Tensor:
    height, width = x.shape[2:]
    if min(height, width) >= size:
        return x
    target = (max(height, size), max(width, size))
    return functional.interpolate(x, size=target, mode="bilinear", align_corners=False)


def _unknown(spec: str, name: str) -> str:
    if name in ("mnist", "idx"):
        return f"data {spec!r} lacks the folder of the IDX files; write {name}:DIR"
    close = difflib.get_close_matches(name, [known.partition(":")[0] for known in SPECS], n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"unknown data {spec!r}: known are {', '.join(SPECS)}{hint}"
