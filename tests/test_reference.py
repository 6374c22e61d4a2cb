from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.compression.task import evaluate
from hwaware.errors import ArtifactError, HwawareError, ModelError, TaskError
from hwaware.reference import load_model, load_task, parse_zoo
from hwaware.zoo import build
from tests.zoo.idx_files import write_dataset

NETS = """
import torch
from torch import nn
import hwaware.zoo
from hwaware.compression.task import Task

WIDTH = 4

def tiny():
    return nn.Sequential(nn.Linear(3, WIDTH), nn.Dropout(0.5)), (torch.ones(1, 3),)

def listed():
    model, inputs = tiny()
    return [model, list(inputs)]

def task():
    model, inputs = tiny()
    data = [(torch.ones(2, 3), torch.zeros(2, WIDTH))]
    return Task(model, inputs, data, data, nn.functional.mse_loss, lambda output, target: 1.0)

def named_task():
    made = task()
    return Task(made.model, made.example_inputs, made.train_data, made.eval_data, made.loss, made.metric,
                name="lamp")

def no_data():
    made = task()
    return Task(made.model, made.example_inputs, [], made.eval_data, made.loss, made.metric)

def poisoned():
    model, inputs = tiny()
    with torch.no_grad():
        model[0].bias[2] = float("nan")
    return model, inputs

def from_the_zoo():
    return hwaware.zoo.build("lenet0")

def lonely():
    return tiny()[0]

def one_tensor():
    return nn.Linear(3, 4), torch.ones(1, 3)

def nothing():
    pass

def deep():
    return helper()

def helper():
    raise ValueError("width 7\\nis odd")

def quits():
    raise SystemExit("bye")

def needs(width):
    return tiny()

def late():
    import neighbour
    return neighbour.make()
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    (tmp_path / "neighbour.py").write_text("def make():\n    import nets\n    return nets.tiny()\n")
    return path


@pytest.fixture(autouse=True)
def _clean_modules():
    """Modules that a test imports from its folder must not be found by the next."""
    before, path = set(sys.modules), list(sys.path)
    yield
    assert sys.path == path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"nets", "neighbour", "package"} or name.startswith("hwaware_user"):
            del sys.modules[name]


def test_zoo_model() -> None:
    loaded = load_model("zoo:resnet8")
    module, inputs = build("resnet8")
    assert loaded.name == "resnet8"
    assert torch.equal(loaded.example_inputs[0], inputs[0])
    assert torch.equal(loaded.module(*inputs), module(*inputs))


def test_zoo_model_for_the_shape_of_its_data(tmp_path: Path) -> None:
    loaded = load_model("zoo:lenet300@digits")
    assert (loaded.name, loaded.example_inputs[0].shape) == ("lenet300@digits", (1, 1, 8, 8))
    loaded = load_model(f"zoo:lenet5@idx:{write_dataset(tmp_path / 'odd@place:x')}")
    assert loaded.example_inputs[0].shape == (1, 1, 28, 28)
    assert loaded.module(*loaded.example_inputs).shape == (1, 3)


def test_zoo_task(tmp_path: Path) -> None:
    task = load_task(f"zoo:lenet300@mnist:{write_dataset(tmp_path)}")
    assert task.name == "lenet300@mnist"
    assert 0 <= evaluate(task, task.model) <= 100


def test_parse_zoo() -> None:
    assert parse_zoo("zoo:lenet5") == ("lenet5", None)
    assert parse_zoo("zoo:lenet5@mnist:/a@b:c") == ("lenet5", "mnist:/a@b:c")
    assert parse_zoo("nets.py:zoo") is None


@pytest.mark.parametrize("factory", ["tiny", "listed", "task", "late"])
def test_file_factories(nets: Path, factory: str) -> None:
    loaded = load_model(f"{nets}:{factory}")
    assert loaded.name == f"nets.{factory}"
    assert isinstance(loaded.example_inputs, tuple)
    assert not loaded.module.training
    assert loaded.module(*loaded.example_inputs).shape == (1, 4)


def test_a_changed_file_is_read_again(nets: Path) -> None:
    assert load_model(f"{nets}:tiny").module[0].out_features == 4
    nets.write_text(NETS.replace("WIDTH = 4", "WIDTH = 12345"))
    assert load_model(f"{nets}:tiny").module[0].out_features == 12345


def test_a_file_named_like_a_library_does_not_replace_it(tmp_path: Path) -> None:
    (tmp_path / "torch_user.py").write_text(NETS)
    path = tmp_path / "scipy.py"
    path.write_text(NETS)
    before = sys.modules.get("scipy")
    load_model(f"{path}:tiny")
    assert sys.modules.get("scipy") is before


def test_module_factories(nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    nets.rename(package / "nets.py")
    monkeypatch.chdir(tmp_path)
    assert load_model("package.nets:tiny").name == "nets.tiny"
    assert load_task("package.nets:task").name == "nets.task"
    with pytest.raises(ModelError, match=r"package.nets: deep\(\) raised ValueError: width 7 \(nets.py:\d+\)"):
        load_model("package.nets:deep")


def test_tasks_from_files(nets: Path) -> None:
    assert load_task(f"{nets}:task").name == "nets.task"
    assert load_task(f"{nets}:named_task").name == "lamp"
    assert load_model(f"{nets}:named_task").name == "lamp"


def test_exported_programs(tmp_path: Path) -> None:
    path = tmp_path / "small.pt2"
    net, inputs = build("lenet300", (1, 4, 4), 3)
    torch.export.save(torch.export.export(net, inputs), path)
    loaded = load_model(str(path))
    assert loaded.name == "small"
    assert torch.allclose(loaded.module(*loaded.example_inputs), net(*inputs))


def line_of(text: str) -> int:
    return NETS.splitlines().index(text) + 1


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("zoo:resnt8", r"no model 'resnt8'.*did you mean zoo:resnet8\?"),
        ("zoo:", "no model ''"),
        ("resnet8", "write zoo:resnet8"),
        ("{dir}/nets.py", "nets.py lacks the name of its factory; write .*nets.py:FACTORY"),
        ("{dir}/none.py:tiny", r"none.py: no such file \(looked in "),
        ("{dir}/notes.txt:tiny", "notes.txt: not a Python file; write FILE.py:FACTORY"),
        ("{dir}/notes.txt", "notes.txt is a file of a kind that holds no model"),
        ("{dir}", "is a folder without model.json"),
        ("{dir}/none", "no model '.*none'; MODEL is zoo:NAME"),
        ("{dir}/none.pt2", "none.pt2: no such file"),
        ("{dir}/nets.py:tyni", r"nets.py: no factory 'tyni'; it defines tiny, .*did you mean tiny\?"),
        ("{dir}/nets.py:WIDTH", "nets.py: WIDTH is a int, not a factory"),
        (
            "{dir}/nets.py:needs",
            "needs is called without arguments, but: missing a required argument: 'width'",
        ),
        (
            "{dir}/nets.py:deep",
            rf"nets.py: deep\(\) raised ValueError: width 7 \(nets.py:{line_of('def helper():') + 1}\)$",
        ),
        ("{dir}/nets.py:quits", r"nets.py: quits\(\) raised SystemExit: bye"),
        ("{dir}/nets.py:nothing", r"returned None; expected \(nn.Module, tuple of example input tensors\)"),
        ("{dir}/nets.py:lonely", "returned a Sequential; expected"),
        ("{dir}/nets.py:one_tensor", r"returned a tuple of \(Linear, Tensor\); expected"),
        ("{dir}/nets.py:poisoned", "0.bias holds 1 values of 4 that are NaN"),
        ("{dir}/nets.py:from_the_zoo", "^the zoo has no model 'lenet0'"),
        ("{dir}/syntax.py:tiny", r"syntax.py:2: SyntaxError: "),
        ("{dir}/raises.py:tiny", r"raises.py: importing it raised ZeroDivisionError: .* \(raises.py:3\)$"),
        ("{dir}/imports.py:tiny", "importing it raised ModuleNotFoundError: No module named 'not_there'"),
        ("not_there_either:tiny", "no module 'not_there_either' here or installed"),
        ("not_there.either:tiny", "no module 'not_there.either' here or installed"),
        ("what ever:tiny", "'what ever' is neither a Python file nor a module's name"),
    ],
)
def test_models_that_cannot_be_loaded(nets: Path, tmp_path: Path, ref: str, message: str) -> None:
    (tmp_path / "notes.txt").write_text("tiny")
    (tmp_path / "syntax.py").write_text("def tiny():\n    return (\n")
    (tmp_path / "raises.py").write_text("width = 0\n\nscale = 1 / width\n")
    (tmp_path / "imports.py").write_text("import not_there\n")
    with pytest.raises(ModelError, match=message) as caught:
        load_model(ref.format(dir=tmp_path))
    assert "\n" not in str(caught.value)
    assert not any(name.startswith(("hwaware_user_syntax", "hwaware_user_raises")) for name in sys.modules)


@pytest.mark.parametrize(
    ("ref", "kind", "message"),
    [
        (
            "zoo:lenet5",
            TaskError,
            "is a model; a task names its data too: zoo:lenet5@DATA, with DATA one of digits",
        ),
        ("zoo:lenet5@", TaskError, "unknown data ''"),
        ("zoo:lenet5@digit", TaskError, r"unknown data 'digit'.*did you mean digits\?"),
        ("zoo:lenet@digits", ModelError, "no model 'lenet'"),
        ("zoo:lenet5@mnist:/nowhere", TaskError, "/nowhere: no such folder"),
        ("lamp", TaskError, "'lamp' is no task; write zoo:NAME@DATA or FILE.py:FACTORY"),
        (
            "{dir}/nets.py:tiny",
            TaskError,
            r"returned a tuple of \(Sequential, tuple\); a task's factory returns",
        ),
        ("{dir}/nets.py:no_data", TaskError, "task nets.no_data: train_data is empty"),
        ("{dir}/nets.py:deep", TaskError, r"deep\(\) raised ValueError: width 7 \(nets.py:\d+\)"),
    ],
)
def test_tasks_that_cannot_be_loaded(
    nets: Path, tmp_path: Path, ref: str, kind: type[HwawareError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        load_task(ref.format(dir=tmp_path))
    assert "\n" not in str(caught.value)


def test_compressed_models(tmp_path: Path) -> None:
    from hwaware.graph.capture import capture
    from hwaware.graph.model import GraphModel
    from hwaware.graph.store import save

    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)).eval()
    inputs = (torch.randn(1, 1, 6, 6),)
    save(GraphModel(capture(net, inputs)), tmp_path / "small")
    loaded = load_model(str(tmp_path / "small"))
    assert loaded.name == "small"
    assert torch.allclose(loaded.module(*inputs), net(*inputs), atol=1e-6)
    assert [x.shape for x in loaded.example_inputs] == [x.shape for x in inputs]
    (tmp_path / "small" / "model.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"model.json"):
        load_model(str(tmp_path / "small"))
