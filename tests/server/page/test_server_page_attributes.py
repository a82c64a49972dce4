"""What people wear on the page, in a real browser: chips, results without an image, words on a result."""

import re

import pytest
from browsing import CONTRAST, NAMES, PHONE, choose, expect, needs_chromium, no_overflow, results, wrong_for_axe
from dressed import dress

from callers import FREE, person
from unveil.attributes.records import FILTERS, VALUES

pytestmark = needs_chromium


@pytest.fixture
def shop(store, own_gallery):
    return dress(store, own_gallery)


def press(page, *values):
    if page.locator("#wears").get_attribute("open") is None:
        page.locator("#wears summary").click()
    for value in values:
        page.locator(f"#wears input[value='{value}']").check(force=True)


def test_the_chips_are_what_can_be_asked_for(open_page, shop):
    page = open_page(galleries=(shop,), limits=FREE)
    values = page.locator("#wears input[name=attribute]").evaluate_all("nodes => nodes.map(n => n.value)")
    assert values == [f"{name}={value}" for name in FILTERS for value in VALUES[name]]


def test_rows_are_found_without_an_image_and_hidden_ones_taken_in(open_page, store, shop):
    page = open_page(galleries=(shop,), limits=FREE)
    press(page, "upper-colour=blue", "bag=yes")
    expect(page.locator("#wears-count")).to_have_text(" (2)")
    page.click("#search")
    found = results(page)
    assert {item.person for item in store.items(shop, found)} == {"p00"} and len(found) == 4
    expect(page.locator("#facts")).to_have_text("4 rows look like that; the surest come first")
    card = page.locator("#hits .hit").first
    expect(card.locator(".score")).to_have_text(re.compile("80 %.*sure"))
    expect(card.locator(".reason")).to_have_text("Top: blue · Bag")
    expect(card.locator(".yes")).to_be_hidden()  # there is no query that it could be the person of
    expect(page.locator(".exports")).to_be_hidden()
    expect(page.locator("#verdict")).to_contain_text("8 rows were left out")
    page.get_by_role("button", name="Take in the 8 rows on which it cannot be seen").click()
    expect(page.locator("#hits .hit")).to_have_count(12)
    expect(page.locator("#include")).to_have_count(0)
    assert page.locator("#include-unseen").is_checked()
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMES) == [] and wrong_for_axe(page) == []


def test_chips_narrow_a_search_with_an_image(open_page, store, shop):
    page = open_page(galleries=(shop,), limits=FREE)
    choose(page, person(3))
    press(page, "bag=yes")
    page.click("#search")
    assert {item.person for item in store.items(shop, results(page))} == {"p00", "p02", "p04", "p06"}
    expect(page.locator("#hits .hit .yes").first).to_be_visible()
    expect(page.locator(".exports")).to_be_visible()


def test_a_result_says_what_is_worn_and_how_much_of_it_shows(open_page, shop):
    page = open_page(galleries=(shop,), limits=FREE)
    press(page, "upper-colour=red")
    page.click("#search")
    page.locator("#hits .image").first.click()
    expect(page.locator("#detail dl")).to_contain_text("Top: red (80 % visible) · Bag: yes (75 % visible)")
    expect(page.get_by_role("button", name="Heat map")).to_be_hidden()
    assert wrong_for_axe(page) == []


def test_by_keyboard_alone(open_page, shop):
    page = open_page(galleries=(shop,), limits=FREE)
    page.locator("#wears summary").focus()
    page.keyboard.press("Enter")
    page.locator("#wears input[value='bag=yes']").focus()
    page.keyboard.press("Space")
    page.locator("#search").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#hits .hit")).to_have_count(20)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_in_every_language(open_page, shop, scheme):
    page = open_page(PHONE, scheme, touch=True, galleries=(shop,), limits=FREE)
    for language in ("de", "fr", "es", "zh"):
        page.locator("#language").select_option(language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        press(page, "upper-colour=blue")
        page.click("#search")
        expect(page.locator("#hits .hit")).to_have_count(8)
        assert no_overflow(page), language
    assert page.evaluate(CONTRAST) == [] and wrong_for_axe(page) == []
