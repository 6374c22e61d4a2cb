"""The numbers of the MorphNet benchmark, on curves and motions that are known."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.morphnet.budgets import text
from benchmarks.morphnet.fashion import _write
from benchmarks.morphnet.pendulum import CART, GRAVITY, HALF_LENGTH, POLE, samples, simulated
from benchmarks.morphnet.report import report
from benchmarks.morphnet.tradeoff import EQUAL, Point, cost_at, curve, gains, metric_at, ratios
from hwaware.zoo.data import load

LINE = [Point(cost, 0.9 + 0.01 * cost) for cost in (1.0, 2.0, 4.0)]


def test_a_curve_is_the_mean_of_its_seeds() -> None:
    found = curve([(0.5, 2.0, 0.95), (0.5, 4.0, 0.97), (0.2, 1.0, 0.9)])
    assert found == [Point(1.0, 0.9), Point(3.0, pytest.approx(0.96), pytest.approx(0.02))]


def test_between_points_a_curve_is_straight_and_outside_it_says_nothing() -> None:
    assert cost_at(LINE, 0.93) == pytest.approx(3.0)
    assert cost_at(LINE, 0.5) == 1.0
    assert cost_at(LINE, 0.95) is None
    assert metric_at(LINE, 3.0) == pytest.approx(0.93)
    assert metric_at(LINE, 0.5) is None
    assert metric_at(LINE, 5.0) is None


def test_a_dip_does_not_count_for_a_curve() -> None:
    """What a cheaper net reaches already, a dearer one that fell short does not make dearer."""
    dipped = [Point(1.0, 0.92), Point(2.0, 0.90), Point(3.0, 0.94)]
    assert cost_at(dipped, 0.92) == 1.0
    assert cost_at(dipped, 0.93) == pytest.approx(2.0)


def test_twice_the_cost_is_a_ratio_of_two() -> None:
    """Less what the other may be worse and still count as equal."""
    twice = [Point(2 * point.cost, point.metric) for point in LINE]
    slack = 2 * EQUAL / 0.01
    assert ratios(LINE, twice)[1:] == [
        (point.metric, pytest.approx((2 * point.cost - slack) / point.cost)) for point in LINE[1:]
    ]
    assert gains(LINE, twice) == [(2.0, pytest.approx(0.01)), (4.0, pytest.approx(0.02))]


def test_the_report_says_who_is_faster() -> None:
    runs = [
        {"method": method, "share": cost, "seed": 0, "metric": metric, "flops": cost, "measured_ms": factor * cost}
        for method, factor in (("table", 1.0), ("flops", 2.0), ("uniform", 3.0))
        for cost, metric in ((1.0, 0.91), (2.0, 0.93), (3.0, 0.95))
    ]
    said = report({"net@data": {"runs": runs}})
    assert "table against flops: 1." in said
    assert "table against uniform: 2." in said
    assert "fewer FLOPs at equal accuracy" in said


def test_budgets_above_count_more_strictly_than_below() -> None:
    rows = [{"asked": 0.5, "measured": measured} for measured in (0.476, 0.514, 0.516, 0.47)]
    assert text(rows).endswith("2 of 4 within -5% and +3%")


def test_a_pendulum_without_force_keeps_its_energy() -> None:
    """The cart moves freely and nothing rubs."""

    def energy(state: np.ndarray) -> np.ndarray:
        _, velocity, angle, rate = state.T
        along = velocity + HALF_LENGTH * rate * np.cos(angle)
        up = -HALF_LENGTH * rate * np.sin(angle)
        inertia = POLE * (2 * HALF_LENGTH) ** 2 / 12
        kinetic = 0.5 * CART * velocity**2 + 0.5 * POLE * (along**2 + up**2) + 0.5 * inertia * rate**2
        return kinetic + POLE * GRAVITY * HALF_LENGTH * np.cos(angle)

    start = np.random.default_rng(0).uniform(-2, 2, (50, 4))
    np.testing.assert_allclose(energy(simulated(start, np.zeros(50))), energy(start), rtol=1e-9)


def test_samples_are_scaled_and_a_function_of_the_seed() -> None:
    x, y = samples(500, 3)
    assert x.shape == (500, 5)
    assert y.shape == (500, 4)
    assert x.abs().max() <= 1
    assert 0.2 < y.std() < 3
    again = samples(500, 3)
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])


def test_fashion_images_become_a_folder_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed draw of each class is the test set; no image is in both."""
    monkeypatch.setattr("benchmarks.morphnet.fashion.TEST_A_CLASS", 2)
    images = [
        np.full((5, 28, 28), 10 * number, dtype=np.uint8) + np.arange(5, dtype=np.uint8)[:, None, None]
        for number in range(10)
    ]
    _write(tmp_path, images)
    data = load(f"idx:{tmp_path}")
    assert len(data.train_x) == 30
    assert len(data.test_x) == 20
    assert torch.bincount(data.test_y).tolist() == [2] * 10
    train, test = (
        {
            image[16:].tobytes()
            for image in np.split(np.frombuffer(gzip.decompress(path.read_bytes())[16:], dtype=np.uint8), count)
        }
        for path, count in (
            (tmp_path / "train-images-idx3-ubyte.gz", 30),
            (tmp_path / "t10k-images-idx3-ubyte.gz", 20),
        )
    )
    assert not train & test
