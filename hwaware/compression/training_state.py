"""All that changes while a model trains, taken for a checkpoint and put back.

Tensors: ``model/NAME``, ``optimizer/NUMBER/KEY``, ``random/WHERE`` and ``states/NUMBER/...``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hwaware.compression.checkpoint import Checkpoint, Snapshot
from hwaware.compression.optimiser import parameters_of
from hwaware.compression.randomness import random_state, set_random_state
from hwaware.compression.stateful import Stateful, pack, unpack
from hwaware.errors import ArtifactError, HwawareError

MODEL, OPTIMIZER, RANDOM, STATES, DATA = "model", "optimizer", "random", "states", "data"

# By the optimiser's class: what it keeps for a parameter it has stepped, and whether in the parameter's shape.
_MOMENTS: dict[type[torch.optim.Optimizer], dict[str, bool]] = {
    torch.optim.SGD: {"momentum_buffer": True},
    torch.optim.AdamW: {"step": False, "exp_avg": True, "exp_avg_sq": True},
}


@dataclass(frozen=True)
class TrainingState:
    """The parts of a training that have a state: `stepper` is None where only the model is known."""

    model: nn.Module
    device: torch.device
    stepper: torch.optim.Optimizer | None
    data: object
    kept: Sequence[Stateful]

    def snapshot(self, epoch: int, batches: int) -> Snapshot:
        """The state behind `epoch` epochs. Raises ArtifactError where one of `kept` has no storable state."""
        tensors = {f"{MODEL}/{name}": tensor for name, tensor in self._model().items()}
        if self.stepper is not None:
            for number, moments in self.stepper.state_dict()["state"].items():
                tensors |= {f"{OPTIMIZER}/{number}/{key}": t for key, t in moments.items() if t is not None}
        tensors |= {f"{RANDOM}/{where}": state for where, state in random_state(self.device).items()}
        generator = self._generator()
        if generator is not None:
            tensors[f"{RANDOM}/{DATA}"] = generator.get_state()
        try:
            states = [pack(kept.state(), tensors, f"{STATES}/{i}") for i, kept in enumerate(self.kept)]
        except (TypeError, ValueError) as error:
            names = ", ".join(type(kept).__name__ for kept in self.kept)
            raise ArtifactError(f"the state of ({names}) cannot be stored: {error}") from error
        # Copies: neither views of one tensor nor strides can be stored.
        stored = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
        }
        return Snapshot(epoch, batches, states, stored)

    def restore(self, snapshot: Snapshot, source: Checkpoint) -> None:
        """Go on from `snapshot`, found in `source`; an ArtifactError for what does not fit leaves the model alone."""
        stored = snapshot.tensors
        ours = self._model()
        self._check_model(stored, source)
        moments = self._moments(stored, source)
        states = self._states(snapshot, source)
        try:
            set_random_state(_under(RANDOM, stored), self.device)
            generator = self._generator()
            if generator is not None:
                generator.set_state(stored[f"{RANDOM}/{DATA}"])
        except (RuntimeError, TypeError, KeyError) as error:
            raise source.corrupt("it has no state of the random numbers") from error
        with torch.no_grad():
            for name, tensor in ours.items():
                tensor.copy_(stored[f"{MODEL}/{name}"])
        if self.stepper is not None:
            self.stepper.load_state_dict({"state": moments, "param_groups": self.stepper.state_dict()["param_groups"]})
        for kept, state in zip(self.kept, states, strict=True):
            self._restore(kept, state, source)

    def _model(self) -> dict[str, Tensor]:
        return dict(itertools.chain(self.model.named_parameters(), self.model.named_buffers()))

    def _generator(self) -> torch.Generator | None:
        """The random numbers of a DataLoader that was given some of its own."""
        generator = getattr(self.data, "generator", None)
        return generator if isinstance(generator, torch.Generator) else None

    def _check_model(self, stored: Mapping[str, Tensor], source: Checkpoint) -> None:
        there, here = _under(MODEL, stored), self._model()
        for name in {**here, **there}:
            if _kind(there.get(name)) != _kind(here.get(name)):
                raise source.other(
                    f"tensor {name[:60]!r} is {_kind(there.get(name))} there, {_kind(here.get(name))} here"
                )

    def _moments(self, stored: Mapping[str, Tensor], source: Checkpoint) -> dict[int, dict[str, Tensor]]:
        """The optimiser's part of the tensors, by parameter number."""
        if self.stepper is None:
            return {}
        parameters, keys = parameters_of(self.stepper), _MOMENTS[type(self.stepper)]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(OPTIMIZER, stored).items():
            text, _, key = name.partition("/")
            number = int(text) if text.isdecimal() and len(text) < 10 else len(parameters)
            if number >= len(parameters) or key not in keys:
                raise source.corrupt(f"its tensor {name[:60]!r} is none of the optimiser's")
            if tensor.shape != (parameters[number].shape if keys[key] else ()) or not tensor.is_floating_point():
                raise source.corrupt(f"its tensor {OPTIMIZER}/{name} is {_kind(tensor)}")
            moments.setdefault(number, {})[key] = tensor
        if any(set(found) != set(keys) for found in moments.values()):
            raise source.corrupt("the state of the optimiser is not complete")
        return moments

    def _states(self, snapshot: Snapshot, source: Checkpoint) -> list[Any]:
        if len(snapshot.states) != len(self.kept):
            raise source.corrupt(f"it has {len(snapshot.states)} states of other objects, not {len(self.kept)}")
        try:
            return [unpack(state, snapshot.tensors) for state in snapshot.states]
        except ValueError as error:
            raise source.corrupt(str(error)) from error

    def _restore(self, kept: Stateful, state: Any, source: Checkpoint) -> None:
        try:
            kept.restore(state)
        except HwawareError:
            raise
        except Exception as error:  # the state comes from a file and may be anything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise source.corrupt(f"the state of {type(kept).__name__} makes no sense ({reason})") from error


def _under(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}/"): t for name, t in tensors.items() if name.startswith(f"{part}/")}


def _kind(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
