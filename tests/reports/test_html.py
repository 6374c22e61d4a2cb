"""The page: what it says, that nothing in a report can get out of its text, and that a browser shows it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from hwaware.errors import ArtifactError
from hwaware.reports.compare import compare
from hwaware.reports.html import render, write_page
from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.parts import OpLatency, Predicted
from tests.reports.browser import Browser
from tests.reports.fixtures import DEVICE, before_and_after, report

VOID = {"meta", "link", "br"}
EVIL = "<script>alert(1)</script>\"' onload=x $x_1$ --> </svg></style> {{ 7*7 }} ${7*7}"


class Page(HTMLParser):
    """Elements, attributes and visible text, with a check that tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def ids(self) -> Counter[str]:
        return Counter(str(attrs["id"]) for _, attrs in self.elements if "id" in attrs)


def hostile() -> LatencyReport:
    base = report(EVIL, median_ms=1.2, seed=4)
    return replace(
        base,
        device=DEVICE | {"name": EVIL, "cpu_model": EVIL, EVIL: [EVIL, {EVIL: None}]},
        conditions=dict(base.conditions) | {EVIL: EVIL},
        ops=(*base.ops, OpLatency(EVIL, EVIL, 1.0, 0.5)),
        widths={EVIL: 3, "a" * 5000: 4},
        warnings=(EVIL,),
        predicted=Predicted(1.0, (0.9, 1.1), EVIL),
    )


def everything() -> list[list[LatencyReport]]:
    before, after = before_and_after()
    bare = replace(after, ops=(), widths=None, predicted=None, accuracy=None)
    return [
        [before],
        [before, after],
        [before, bare],
        [bare],
        [before, after, report(seed=9), report("x", median_ms=90.0, seed=8)],
        [before, replace(after, threads=4)],
        [hostile(), before],
        [replace(before, latency_ms=replace(before.latency_ms, cold=None))] * 8,
    ]


@pytest.mark.parametrize("case", range(8))
def test_page_is_sound_html_without_any_outside_resource(case: int) -> None:
    text = render(everything()[case])
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert [name for name, count in page.ids().items() if count > 1] == []
    tags = Counter(tag for tag, _ in page.elements)
    assert tags["h1"] == 1
    assert not tags.keys() & {"script", "img", "iframe", "object", "embed", "form", "base", "image"}
    ids = page.ids()
    for tag, attrs in page.elements:
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            target = attrs.get(name)
            assert target is None or target == "data:," or target[1:] in ids, (tag, target)
        for reference in re.findall(r"url\(#([^)]*)\)", str(attrs)):
            assert reference in ids
        for labelled in (attrs.get("aria-labelledby") or "").split():
            assert labelled in ids
    assert "url(" not in re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)  # type: ignore[union-attr]
    assert "@import" not in text
    assert "default-src 'none'" in text
    figures = [attrs for tag, attrs in page.elements if tag == "svg"]
    assert len(figures) >= 2
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)


def test_no_marker_colour_is_left_in_a_figure() -> None:
    assert re.findall(r"#01[0-9a-f]{4}\b", render(before_and_after())) == []


def test_page_leads_with_the_verdict_and_shows_each_part() -> None:
    text = Page(render(before_and_after(), title="Board X")).text
    assert text.startswith("Board X Board X resnet8 compressed is 1.8")
    for part in (
        "× faster than resnet8 on fixture-board (95 % CI",
        "accuracy 98.7 % → 98.4 %.",
        "Where the time goes",
        "Widths",
        "Predicted against measured",
        "Memory",
        "How it was measured",
        "power mode",
        "15W",
        "stage3.block.conv2",
    ):
        assert part in text, part


def test_a_device_need_not_tell_its_processor() -> None:
    text = Page(render([replace(report(), device={"name": "a board", "fingerprint": "f"})])).text
    assert "a board" in text


def test_parts_without_data_are_left_out() -> None:
    bare = replace(report(), ops=(), widths=None, predicted=None)
    text = Page(render([bare])).text
    for part in ("Where the time goes", "Widths", "Predicted against"):
        assert part not in text


def test_incomparable_reports_are_shown_with_the_reasons() -> None:
    before, after = before_and_after()
    text = Page(render([before, replace(after, protocol="as-shipped")])).text
    assert "cannot be compared" in text
    assert "different protocol (pinned | as-shipped)" in text
    assert "× faster" not in text


def test_warnings_are_shown() -> None:
    before, after = before_and_after()
    text = Page(render([before, replace(after, warnings=("throttled: let it cool",))])).text
    assert "resnet8 compressed: throttled: let it cool" in text


def test_hostile_strings_stay_text() -> None:
    text = render([hostile(), report()], title=EVIL)
    page = Page(text)
    assert "<script" not in text
    assert page.text.count("<script>alert(1)</script>") >= 10
    assert "{{ 7*7 }}" in page.text
    assert "$x_1$" in page.text


def test_figures_keep_the_labels_as_they_are() -> None:
    """A name with mathtext or markup is drawn as its characters, in the figure too."""
    op = OpLatency("a<b>&$\\frac{1}{2}$", "k", 1.0, 1.0)
    figure = render([replace(report(), ops=(op,))]).split('aria-label="Median time of each op"')[1].split("</svg>")[0]
    assert "a&lt;b&gt;&amp;$\\frac{1}{2}$" in figure


def test_the_same_reports_give_the_same_bytes() -> None:
    assert render(before_and_after()) == render(before_and_after())


def test_page_stays_small_with_the_most_samples() -> None:
    assert len(render([report(n=20_000), report("b", n=20_000, seed=2)])) < 400_000


def test_write_page_is_all_or_nothing(tmp_path: Path) -> None:
    page = write_page(tmp_path / "deep" / "page.html", [report()], title="One")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(ArtifactError, match="at least one report"):
        write_page(tmp_path / "none.html", [])
    assert [entry.name for entry in tmp_path.iterdir()] == ["deep"]


def test_chromium_opens_the_page_without_a_complaint(tmp_path: Path) -> None:
    browser = Browser.find(tmp_path)
    before = before_and_after()[0]
    page = write_page(tmp_path / "page.html", [before, hostile()])
    dom, log = browser.dom(page)
    assert "CONSOLE" not in log
    assert "<script" not in dom
    opened = Page(dom)
    assert opened.text.count("<script>alert(1)</script>") >= 10


def test_the_console_check_can_fail(tmp_path: Path) -> None:
    """The page's policy turns an outside image into a complaint, which the log shows."""
    browser = Browser.find(tmp_path)
    text = render([report()]).replace("<main>", '<main><img src="https://example.invalid/x.png" alt="">')
    (tmp_path / "bad.html").write_text(text)
    _, log = browser.dom(tmp_path / "bad.html")
    assert "CONSOLE" in log
    assert "Content Security Policy" in log


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_chromium_paints_both_schemes(tmp_path: Path, scheme: str, dark: bool) -> None:
    browser = Browser.find(tmp_path)
    reports = before_and_after()
    page = write_page(tmp_path / "page.html", reports, compare(*reports))
    pixels = imread(browser.screenshot(page, (1280, 1400), scheme))[..., :3]
    background = float(pixels[:40, :40].mean())
    assert background < 0.2 if dark else background > 0.9
    # Text, cards and curves: a page that did not render would be one flat colour.
    assert float((np.abs(pixels - pixels[0, 0]).max(axis=2) > 0.3).mean()) > 0.015
    assert float(pixels.max() - pixels.min()) > 0.7


@pytest.mark.parametrize("width", [320, 768])
def test_nothing_is_wider_than_the_screen(tmp_path: Path, width: int) -> None:
    """A frame of a phone's width tells its scroll width (a headless window has a minimum of its own)."""
    browser = Browser.find(tmp_path)
    wide = [*before_and_after(), replace(hostile(), model="m" * 200)]
    write_page(tmp_path / "page.html", wide)
    (tmp_path / "frame.html").write_text(
        f'<iframe src="page.html" style="width:{width}px;height:600px;border:0"></iframe><p></p><script>'
        "onload = () => { const d = frames[0].document.documentElement;"
        "document.querySelector('p').textContent = 'widths ' + d.scrollWidth + ' ' + d.clientWidth }</script>"
    )
    dom, _ = browser.dom(tmp_path / "frame.html", "--allow-file-access-from-files")
    found = re.search(r"widths (\d+) (\d+)", dom)
    assert found is not None
    assert int(found[2]) == width
    assert int(found[1]) <= width
