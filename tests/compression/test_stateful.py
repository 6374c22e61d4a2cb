from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.stateful import pack, unpack
from hwaware.compression.train import fit
from hwaware.errors import ArtifactError
from tests.compression.interruptions import Fader
from tests.compression.test_train import task


def test_states_come_back_as_they_were() -> None:
    state = {"a": [1, 2.5, True, None, "x"], "b": {"c/d": torch.arange(3), "e": [torch.tensor(1.0)]}, "f": {}}
    tensors: dict[str, Tensor] = {}
    packed = json.loads(json.dumps(pack(state, tensors, "states/0")))
    back = unpack(packed, tensors)
    assert torch.equal(back["b"].pop("c/d"), torch.arange(3))
    assert torch.equal(back["b"].pop("e")[0], torch.tensor(1.0))
    assert back == {"a": state["a"], "b": {}, "f": {}}
    for wrong in ((1, 2), {1: 2}, {"$tensor": 1}, {"a": {1, 2}}, [float("nan")], object()):
        with pytest.raises((TypeError, ValueError), match=r"states/0.* holds"):
            pack(wrong, {}, "states/0")


def test_a_state_that_cannot_be_stored(tmp_path: Path) -> None:
    class Odd(Fader):
        def state(self) -> dict[str, Any]:
            return {"pair": (1, 2)}

    circle = task()
    with pytest.raises(ArtifactError, match=r"the state of \(.*Odd\) cannot be stored: states/1/pair holds a tuple"):
        fit(circle.model, circle, epochs=1, lr=0.1, keep=[Odd()], checkpoint=Checkpoint(tmp_path, "shrink"))
    assert list(tmp_path.iterdir()) == []
