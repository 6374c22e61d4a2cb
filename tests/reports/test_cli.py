"""hwaware compare and hwaware report as typed: exit status, stdout, stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwaware.cli import main
from tests.reports.fixtures import before_and_after, report


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """Files of a baseline and a faster model."""
    before, after = before_and_after()
    return str(before.save(tmp_path / "before.json")), str(after.save(tmp_path / "after.json"))


def test_compare_says_the_verdict(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *pair]) == 0
    out, err = capsys.readouterr()
    assert "resnet8 compressed is 1.8" in out.splitlines()[0]
    assert err == ""


def test_compare_json_is_one_document(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *pair, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["comparable"] is True
    assert document["pairs"][0]["verdict"] == "faster"


def test_fail_if_slower(pair: tuple[str, str]) -> None:
    before, after = pair
    assert main(["compare", before, after, "--fail-if-slower"]) == 0
    assert main(["compare", after, before, "--fail-if-slower"]) == 3
    assert main(["compare", after, before]) == 0


def test_compare_refuses_other_conditions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = str(report().save(tmp_path / "a.json"))
    b = str(report(threads=4).save(tmp_path / "b.json"))
    page = tmp_path / "page.html"
    assert main(["compare", a, b, "--fail-if-slower", "--html", str(page)]) == 1
    out, err = capsys.readouterr()
    assert "not comparable: a and b: different threads (1 | 4)" in out  # same model: labelled by file
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "different threads (1 | 4)" in errors[0]
    assert "cannot be compared" in page.read_text()

    assert main(["compare", a, b, "--json"]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["comparable"], document["pairs"]) == (False, [])
    assert document["reasons"] == ["a and b: different threads (1 | 4)"]
    assert err.startswith("error: ")


@pytest.mark.parametrize("words", [["compare"], ["compare", "a.json"], ["report", "a.json"], ["report", "--html", "x"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: hwaware" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["compare"], ["report", "--html", "page.html"]])
def test_bad_files_are_one_line(
    verb: list[str],
    pair: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text('{"schema_version": 99}')
    for bad in ("bad.json", "absent.json"):
        assert main([*verb, pair[0], bad]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert bad in err
        assert err.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_report_writes_the_page(pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["report", *pair, "--html", str(page), "--title", "My <board>"]) == 0
    assert str(page) in capsys.readouterr().out
    assert "<title>My &lt;board&gt;</title>" in page.read_text()
    assert main(["report", pair[0], "--html", str(page), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["page"] == str(page)
    assert document["summary"].startswith("resnet8 takes")


@pytest.mark.parametrize("verb", ["compare", "report"])
def test_help_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    assert f"example:\n  hwaware {verb} " in capsys.readouterr().out
