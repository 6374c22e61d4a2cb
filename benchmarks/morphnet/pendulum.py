"""Control prediction: an inverted pendulum on a cart, simulated, and a net that predicts its next state.

The regression case of feed-forward nets that MorphNet is asked for. The state is (position, velocity, angle, rate), the
input with it is the force; equations of motion after Barto, Sutton and Anderson 1983, integrated with RK4 at 1 ms.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwaware.compression.task import Task
from hwaware.zoo.batches import Batches

GRAVITY, CART, POLE, HALF_LENGTH = 9.81, 1.0, 0.1, 0.5
STEP_S, STEPS = 0.001, 20  # a prediction is 20 ms ahead
TRAIN, TEST = 20_000, 5_000
_BATCH = 128
# Of the sensors, on what is measured 20 ms later, in units of the scaled targets: without it every net is only as good
# as it is large.
NOISE = 0.1
_LOW, _HIGH = np.array([-2.0, -3.0, -np.pi, -6.0, -10.0]), np.array([2.0, 3.0, np.pi, 6.0, 10.0])

Array = NDArray[np.float64]


def derivative(state: Array, force: Array) -> Array:
    """d/dt of states (N, 4) under forces (N,)."""
    _, velocity, angle, rate = state.T
    sine, cosine = np.sin(angle), np.cos(angle)
    total = CART + POLE
    push = (force + POLE * HALF_LENGTH * rate**2 * sine) / total
    turn = (GRAVITY * sine - cosine * push) / (HALF_LENGTH * (4 / 3 - POLE * cosine**2 / total))
    return np.stack([velocity, push - POLE * HALF_LENGTH * turn * cosine / total, rate, turn], axis=1)


def simulated(state: Array, force: Array) -> Array:
    """States (N, 4) after STEPS steps."""
    for _ in range(STEPS):
        one = derivative(state, force)
        two = derivative(state + STEP_S / 2 * one, force)
        three = derivative(state + STEP_S / 2 * two, force)
        four = derivative(state + STEP_S * three, force)
        state = state + STEP_S / 6 * (one + 2 * two + 2 * three + four)
    return state


def samples(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Inputs (N, 5) and how far each state moves (N, 4), both scaled to about 1, the latter as sensors see it."""
    random = np.random.default_rng(seed)
    drawn = random.uniform(_LOW, _HIGH, (count, 5))
    moved = (simulated(drawn[:, :4], drawn[:, 4]) - drawn[:, :4]) / np.array([0.03, 0.2, 0.07, 0.4])
    seen = moved + NOISE * random.standard_normal(moved.shape)
    return torch.from_numpy((drawn / _HIGH).astype(np.float32)), torch.from_numpy(seen.astype(np.float32))


def net(seed: int) -> nn.Sequential:
    """Five numbers in, four out, two wide layers between."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 4)).eval()


def pendulum_task(seed: int = 0) -> Task:
    """The untrained task; its metric is minus the mean squared error."""
    return Task(
        model=net(seed),
        example_inputs=(torch.zeros(1, 5),),
        train_data=Batches(*samples(TRAIN, 1), _BATCH, seed=0),
        eval_data=Batches(*samples(TEST, 2), 1000),
        loss=nn.functional.mse_loss,
        metric=lambda output, target: -float(nn.functional.mse_loss(output, target)),
        name="pendulum",
    )
