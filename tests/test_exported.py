from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.exported import load_exported


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.pt2"
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    torch.export.save(torch.export.export(net, (torch.ones(1, 3),)), path)
    return path


def rewritten(path: Path, change: Callable[[str, bytes], bytes], extra: dict[str, bytes] | None = None) -> Path:
    """`path` with its members changed, and further ones, in an archive whose checksums are right again."""
    with zipfile.ZipFile(path) as archive:
        members = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**members, **(extra or {})}.items():
            archive.writestr(name, data)
    return path


def test_round_trip(saved: Path) -> None:
    module, inputs = load_exported(saved)
    assert torch.equal(inputs[0], torch.ones(1, 3))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    assert torch.allclose(module(*inputs), net(*inputs))


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none.pt2: no such file"):
        load_exported(tmp_path / "none.pt2")


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: b"weights", lambda data: data[: len(data) // 2]],
    ids=["empty", "text", "cut"],
)
def test_not_an_archive(saved: Path, damage: Callable[[bytes], bytes], capfd: pytest.CaptureFixture) -> None:
    saved.write_bytes(damage(saved.read_bytes()))
    with pytest.raises(ModelError, match=r"net.pt2: corrupt, or not written by torch.export.save"):
        load_exported(saved)
    assert capfd.readouterr().err == ""


def test_one_flipped_bit_in_a_weight(saved: Path) -> None:
    """torch itself loads such a file without a word."""
    weight = torch.export.load(saved).state_dict["0.weight"].detach().numpy().tobytes()
    data = bytearray(saved.read_bytes())
    data[data.index(weight)] ^= 1
    saved.write_bytes(data)
    with pytest.raises(ModelError, match=r"net.pt2: corrupt: the checksum of .*weight_0 is wrong"):
        load_exported(saved)


def test_other_archives(tmp_path: Path) -> None:
    path = tmp_path / "state.pt2"
    torch.save({"weight": torch.ones(1)}, path)
    with pytest.raises(ModelError, match=r"not a file of torch.export.save"):
        load_exported(path)


def test_a_graph_that_torch_cannot_read(saved: Path, capfd: pytest.CaptureFixture) -> None:
    rewritten(saved, lambda name, data: b"{}" if name.endswith("models/model.json") else data)
    with pytest.raises(ModelError, match=r"net.pt2: torch 2.* cannot load it: "):
        load_exported(saved)
    assert capfd.readouterr().err == ""


def test_a_pickle_in_the_file_is_not_run(saved: Path, tmp_path: Path) -> None:
    proof = tmp_path / "ran"

    class Attack:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return Path.touch, (proof,)

    buffer = io.BytesIO()
    torch.save((Attack(),), buffer)
    rewritten(saved, lambda name, data: buffer.getvalue() if "sample_inputs" in name else data)
    with pytest.raises(ModelError, match=r"net.pt2: holds pickled objects other than tensors"):
        load_exported(saved)
    assert not proof.exists()

    attack = {"net/data/constants/opaque_obj_0": pickle.dumps(Attack())}
    rewritten(saved, lambda name, data: data, attack)
    with pytest.raises(ModelError, match=r"carries net/data/constants/opaque_obj_0, which is code"):
        load_exported(saved)
    assert not proof.exists()


def test_dynamic_shapes(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    dynamic = ({0: torch.export.Dim("batch", min=2, max=8)},)
    torch.export.save(torch.export.export(nn.Linear(3, 4), (torch.ones(4, 3),), dynamic_shapes=dynamic), path)
    with pytest.raises(ModelError, match=r"has dynamic shapes; export it again without dynamic_shapes"):
        load_exported(path)


def test_keyword_inputs(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(nn.Linear(3, 4), (), {"input": torch.ones(4, 3)}), path)
    with pytest.raises(ModelError, match=r"example inputs are not positional tensors only"):
        load_exported(path)
