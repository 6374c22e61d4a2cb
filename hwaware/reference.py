"""What a user types as MODEL or TASK, turned into the thing it names.

MODEL: ``zoo:NAME``, ``zoo:NAME@DATA``, ``FILE.py:FACTORY``, ``package.module:FACTORY``, ``FILE.pt2``, or the
directory of a compressed model. TASK: ``zoo:NAME@DATA`` or a factory.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hwaware.compression.quantize.pt2e import taken
from hwaware.compression.task import Task, check, check_weights
from hwaware.errors import ModelError, TaskError
from hwaware.exported import load_exported
from hwaware.factory import call_factory
from hwaware.zoo.data import SPECS
from hwaware.zoo.registry import NETS, build
from hwaware.zoo.tasks import zoo_task

MODEL_FORMS = "zoo:NAME, FILE.py:FACTORY, package.module:FACTORY, FILE.pt2 or a compressed model's directory"
TASK_FORMS = "zoo:NAME@DATA or FILE.py:FACTORY"


@dataclass(frozen=True)
class LoadedModel:
    """A model as a MODEL reference names it."""

    module: nn.Module  # in eval mode, its weights finite
    example_inputs: tuple[Tensor, ...]
    name: str  # short, for reports: "resnet8", "resnet8@digits", "nets.tiny"


def load_model(ref: str) -> LoadedModel:
    """The model that `ref` names. Raises ModelError (TaskError for the data of zoo:NAME@DATA) in one line."""
    model = _load(ref)
    # Programs from torch.export have no modes; they were exported in the one they have.
    with contextlib.suppress(NotImplementedError):
        model.module.eval()
    check_weights(model.module)
    return model


def load_task(ref: str) -> Task:
    """The task that `ref` names, its data and weights checked. Raises TaskError or ModelError in one line."""
    zoo = parse_zoo(ref)
    if zoo is not None:
        name, data = zoo
        if data is None:
            raise TaskError(f"{ref} is a model; a task names its data too: zoo:{name}@DATA, {_data_forms()}")
        return zoo_task(name, data)
    if ":" not in ref:
        raise TaskError(f"{ref!r} is no task; write {TASK_FORMS}")
    task = call_factory(ref, TaskError)
    if not isinstance(task, Task):
        raise TaskError(f"{ref}: the factory returned {_describe(task)}; a task's factory returns a hwaware.Task")
    named = task if task.name else replace(task, name=_short_name(ref))
    check(named)
    return named


def parse_zoo(ref: str) -> tuple[str, str | None] | None:
    """(net, data spec or None) of a reference into the zoo; None for any other reference."""
    if not ref.startswith("zoo:"):
        return None
    name, at, data = ref.removeprefix("zoo:").partition("@")
    return name, data if at else None


def _load(ref: str) -> LoadedModel:
    zoo = parse_zoo(ref)
    if zoo is not None:
        name, data = zoo
        if data is not None:
            return _of_task(zoo_task(name, data), ref)
        return LoadedModel(*build(name), name)
    path = Path(ref).expanduser()
    if path.is_dir():
        return _compressed(path)
    if path.suffix == ".pt2":
        module, inputs = load_exported(path)
        return LoadedModel(taken(module, inputs), inputs, path.stem)
    if ":" in ref:
        return _made(call_factory(ref, ModelError), ref)
    raise ModelError(_not_a_model(ref, path))


def _compressed(path: Path) -> LoadedModel:
    from hwaware.graph.store import load

    if not (path / "model.json").is_file():
        raise ModelError(f"{path} is a folder without model.json, so no compressed model; write {MODEL_FORMS}")
    module = load(path)
    return LoadedModel(module, module.example_inputs, path.resolve().name)


def _made(made: Any, ref: str) -> LoadedModel:
    """A model from what a factory returned: a pair, or a task, whose model it then is."""
    if isinstance(made, Task):
        return _of_task(made, ref)
    if isinstance(made, tuple | list) and len(made) == 2:
        module, inputs = made
        tensors = isinstance(inputs, tuple | list) and inputs and all(isinstance(x, Tensor) for x in inputs)
        if isinstance(module, nn.Module) and tensors:
            return LoadedModel(taken(module, inputs), tuple(inputs), _short_name(ref))
    raise ModelError(
        f"{ref}: the factory returned {_describe(made)}; expected (nn.Module, tuple of example input tensors)"
    )


def _of_task(task: Task, ref: str) -> LoadedModel:
    return LoadedModel(task.model, task.example_inputs, task.name or _short_name(ref))


def _short_name(ref: str) -> str:
    """`dir/nets.py:tiny` and `dir.nets:tiny` are both called nets.tiny."""
    source, _, factory = ref.rpartition(":")
    stem = Path(source).stem if source.endswith(".py") else source.rpartition(".")[2]
    return f"{stem}.{factory}"


def _describe(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of ({', '.join(type(item).__name__ for item in value[:4])})"
    return "None" if value is None else f"a {type(value).__name__}"


def _data_forms() -> str:
    return f"with DATA one of {', '.join(SPECS)}"


def _not_a_model(ref: str, path: Path) -> str:
    if ref in NETS:
        return f"{ref!r} alone names no model; write zoo:{ref}"
    if path.suffix == ".py":
        return f"{ref} lacks the name of its factory; write {ref}:FACTORY"
    if path.exists():
        return f"{ref} is a file of a kind that holds no model; MODEL is {MODEL_FORMS}"
    return f"no model {ref!r}; MODEL is {MODEL_FORMS}"
