"""The page in a real browser: on any screen, in light and dark, its text can be read and is text."""

import io
import re

import pytest
from browsing import CONTRAST, NAMES, PHONE, choose, expect, needs_chromium, no_overflow, results
from PIL import Image

from callers import CAMERAS, SHOTS, frame, person
from unveil.gallery.records import Filter

pytestmark = needs_chromium


def test_the_reason_is_never_under_the_bar(open_page, gallery):
    page = open_page(viewport={"width": 1280, "height": 600}, galleries=(gallery,))
    expect(page.locator("#about")).to_contain_text("crops")
    field = page.locator("#why").bounding_box()
    at = f"document.elementFromPoint({field['x'] + 9}, {field['y'] + field['height'] / 2}).id"
    assert page.evaluate(at) == "why"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(open_page, gallery, scheme):
    page = open_page(PHONE, scheme, touch=True, galleries=(gallery,))
    choose(page, frame(1, 4, 6)[0])
    assert no_overflow(page)
    page.tap("#search")
    results(page)
    assert no_overflow(page)
    page.locator(".hit .image").first.tap()
    expect(page.locator("#detail")).to_be_visible()
    box = page.locator("#detail").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    for button in page.locator("#detail button").all():
        assert button.bounding_box()["height"] >= 32


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_and_everything_has_a_name(open_page, gallery, scheme):
    page = open_page(scheme=scheme, galleries=(gallery,))
    expect(page.locator("#about")).to_contain_text("crops")
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMES) == []
    choose(page, frame(1, 4)[0])
    page.locator("#more summary").click()
    page.click("#search")
    rows = results(page)
    page.locator(f"#hit-{rows[0]} .yes").click()
    page.locator(f"#hit-{rows[1]} .no").click()
    page.locator(f"#hit-{rows[2]} .image").hover()
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMES) == []
    page.locator(f"#hit-{rows[2]} .image").click()
    assert page.evaluate(CONTRAST) == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 200) is (scheme == "dark")


def test_a_label_from_outside_is_text_and_never_markup(open_page, own_gallery, store, engine):
    from unveil.gallery.records import Item

    pixels = person(40)
    evil = "<img src=x onerror=document.title='gone'>"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    item = Item("evil", "crop", buffer.getvalue(), evil, evil, 1.7e9, person=evil, tags=(evil,))
    store.add(own_gallery, [item], embedding=engine.embed([pixels]))
    page = open_page(galleries=(own_gallery,))
    choose(page, pixels)
    page.click("#search")
    first = results(page)[0]
    assert store.items(own_gallery, [first])[0].key == "evil"
    page.locator(f"#hit-{first} .image").click()
    expect(page.locator("#detail dl")).to_contain_text(evil)
    assert page.title() == "unveil: find a person again"
    assert store.ids(own_gallery, Filter()).size == 8 * CAMERAS * SHOTS + 1
