"""`--help` of every verb has an example and is quick because nothing heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from hwaware.cli import VERBS, main

HEAVY = ("torch", "tvm", "pandas", "scipy", "matplotlib", "paramiko", "numpy", "sklearn", "rich")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"example:\n  hwaware {verb}" in text
    assert "--json" in text


@pytest.mark.parametrize("words", [["--help"], *([verb, "--help"] for verb in VERBS)])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom hwaware.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip().splitlines()[-1] == "heavy: []"


def test_import_of_the_package_is_lean() -> None:
    code = f"import hwaware, sys\nprint(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_exists() -> None:
    import hwaware

    for name in hwaware.__all__:
        assert getattr(hwaware, name) is not None


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"hwaware {version('hwaware')}\n"
