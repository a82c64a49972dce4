"""The page, parsed back."""

from __future__ import annotations

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unveil.errors import MissingExtraError
from unveil.report.answer import Answer, Crop, Match, image_of
from unveil.report.page import write_page

BLUE = Crop(image_of(np.full((600, 300, 3), (10, 20, 240), np.uint8)), "camera 1")
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Elements(HTMLParser):
    """Collects elements and checks that each one is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page(tmp_path: Path, *answers: Answer, **settings: object) -> str:
    write_page(answers, tmp_path / "page.html", **settings)  # type: ignore[arg-type]
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_every_image_is_inside_and_nothing_outside_is_needed(tmp_path: Path) -> None:
    text = page(tmp_path, Answer((BLUE, BLUE), (Match(BLUE, 0.1),) * 3))
    elements = Elements(text)
    sources = [image["src"] or "" for image in elements.of("img")]
    assert len(sources) == 5
    for source in sources:
        kind, _, data = source.partition(",")
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        assert kind == "data:image/jpeg;base64" and picture.size == (160, 320)
        assert np.abs(np.asarray(picture).mean(axis=(0, 1)) - (10, 20, 240)).max() < 5
    assert not elements.of("link") and not elements.of("script")
    assert not re.search(r"https?://|url\(|@import", text)


def test_frames_and_distances(tmp_path: Path) -> None:
    matches = tuple(Match(BLUE, d, same) for d, same in ((0.123456, True), (0.2, False), (0.3, None)))
    text = page(tmp_path, Answer((BLUE,), matches))
    assert [f["class"] for f in Elements(text).of("figure") if "class" in f] == ["same", "other", "unknown"]
    assert "0.1235" in text and re.findall(r'data-mark="(.?)"', text) == ["✓", "✗", ""]


def test_parts_are_shown_with_what_is_occluded(tmp_path: Path) -> None:
    matches = (Match(BLUE, 0.1, parts={"head": 0.25, "feet": 0.5}), Match(BLUE, 0.2, parts={"feet": 0.125}))
    text = page(tmp_path, Answer((BLUE,), matches))
    assert re.findall(r"width:([\d.]+)%", text) == ["50.0", "100.0", "25.0"]
    assert text.count(">occluded<") == 1
    assert "parts" not in re.sub(
        r"<style>.*</style>", "", page(tmp_path, Answer((BLUE,), (Match(BLUE, 0.1),))), flags=re.S
    )


def test_the_header_says_how_and_text_cannot_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'"
    crop = Crop(BLUE.image, evil)
    answer = Answer((crop,), (Match(crop, 0.1, parts={evil: 0.1}),), evil)
    text = page(tmp_path, answer, title=evil, header={"protocol": "market#0d65083e", evil: evil})
    assert "market#0d65083e" in text
    assert not Elements(text).of("script") and "<script" not in text


def test_no_query_and_no_match_are_said(tmp_path: Path) -> None:
    assert "No query." in page(tmp_path)
    assert "no match" in page(tmp_path, Answer((BLUE,), ()))


def test_without_jinja_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"unveil\[report\]"):
        page(tmp_path)
