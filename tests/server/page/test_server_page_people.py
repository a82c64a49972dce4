"""Probable people on the page, in a real browser: looked through, split and merged, by mouse and by keys."""

import re

import pytest
from browsing import CONTRAST, DESK, NAMES, PHONE, expect, needs_chromium, no_overflow, tab_to, wrong_for_axe

from callers import FREE, encoded, group_people, person
from unveil.gallery.records import Filter, Item
from unveil.server.access.tokens import new_token

pytestmark = needs_chromium


@pytest.fixture
def grouped(store, own_gallery):
    group_people(store, own_gallery)
    return own_gallery


def people(page):
    page.get_by_role("button", name="People", exact=True).click()
    expect(page.locator("#people-title")).to_contain_text("Probable people")


def numbers(page):
    return page.locator(".person").evaluate_all("all => all.map(one => Number(one.dataset.person))")


def test_people_are_looked_through_and_one_is_split(open_page, store, grouped):
    page = open_page(galleries=(grouped,), limits=FREE)
    people(page)
    expect(page.locator(".person")).to_have_count(8)
    expect(page.locator(".people-facts")).to_contain_text("probably 8 people")
    expect(page.locator("#people-said")).to_contain_text("Not calibrated")
    first = page.locator(".person").first
    expect(first).to_contain_text("probably the same person")
    expect(first).to_contain_text("6 sightings · 3 cameras")
    assert first.locator("img").first.evaluate("image => image.decode().then(() => image.naturalHeight)") == 128
    number = numbers(page)[0]
    first.locator(".person-open").click()
    expect(page.locator("#people-title")).to_have_text(f"Probable person {number}")
    assert f"person={number}" in page.url
    page.reload()
    expect(page.locator(".person")).to_have_count(6)
    expect(page.locator("#people-split")).to_be_disabled()
    rows = page.locator(".person").evaluate_all("all => all.map(one => Number(one.dataset.item))")
    for row in rows[:2]:
        page.locator(f".person[data-item='{row}'] input").check()
    page.click("#people-split")
    expect(page.locator(".person")).to_have_count(2)
    expect(page.locator(".case-head")).to_contain_text("changed by hand")
    made = int(re.search(r"person=(\d+)", page.url)[1])
    assert made != number and {row.item for row in store.groups.person(grouped, made)[1]} == set(rows[:2])
    page.go_back()
    expect(page.locator(".person")).to_have_count(4)
    page.get_by_role("button", name="All people").click()
    expect(page.locator(".person")).to_have_count(9)


def test_two_are_merged_and_a_search_begins_from_a_sighting(open_page, store, grouped):
    page = open_page(galleries=(grouped,), limits=FREE)
    people(page)
    expect(page.locator("#people-merge")).to_be_disabled()
    first, second, third = numbers(page)[:3]
    for number in (first, second, third):
        page.locator(f".person[data-person='{number}'] input").check()
    expect(page.locator("#people-merge")).to_be_disabled()
    page.locator(f".person[data-person='{third}'] input").uncheck()
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#people-merge")
    expect(page.locator(".person")).to_have_count(7)
    assert store.groups.person(grouped, first)[0].rows == 12
    page.select_option("#people-order", "time")
    expect(page.locator(".person")).to_have_count(7)
    page.check("#people-hide")
    expect(page.locator(".person")).to_have_count(7)
    page.locator(f".person[data-person='{first}'] .person-open").click()
    expect(page.locator("#people-title")).to_have_text(f"Probable person {first}")
    row = int(page.locator(".person").first.get_attribute("data-item"))
    with page.expect_request(lambda request: request.url.endswith("/searches")) as asked:
        page.locator(".person").first.get_by_role("button", name="Search from").click()
    assert asked.value.post_data_json["positives"] == [{"item": row}]
    expect(page.locator("#answer")).to_be_visible()
    page.go_back()
    with page.expect_request(lambda request: request.url.endswith("/searches")) as asked:
        page.click("#people-search")
    best = list(store.groups.person(grouped, first)[0].images)
    assert [piece["item"] for piece in asked.value.post_data_json["positives"]] == best and len(best) == 4


def test_new_and_deleted_sightings_are_said(open_page, store, engine, grouped):
    pixels = person(30)
    store.add(
        grouped, [Item("new", "crop", encoded(pixels, "JPEG"), "x.mp4", "c0", 1.7e9)], embedding=engine.embed([pixels])
    )
    store.delete(grouped, Filter(persons=("p00",)))
    page = open_page(galleries=(grouped,), limits=FREE)
    people(page)
    expect(page.locator("#people-said")).to_contain_text("1 sighting came later and is not grouped yet")
    expect(page.locator("#people-said")).to_contain_text("6 sightings were deleted since")
    expect(page.locator(".person")).to_have_count(7)


def test_a_gallery_that_is_not_grouped_says_what_to_do(open_page, own_gallery):
    page = open_page(galleries=(own_gallery,), limits=FREE)
    people(page)
    expect(page.locator("#people-body")).to_contain_text(f"unveil gallery group {own_gallery}")
    page.click("#people-group")
    expect(page.locator("#view-error")).to_contain_text("calibration of gallery")


def test_a_reader_sees_no_way_to_change_anything(open_page, grouped, tmp_path):
    file = tmp_path / "tokens.json"
    token = new_token(file, "eva", role="reader")
    page = open_page(galleries=(grouped,), tokens=file, limits=FREE)
    page.fill("#token", token)
    page.keyboard.press("Enter")
    people(page)
    expect(page.locator(".person")).to_have_count(8)
    assert page.locator("#people-body input[type=checkbox]").count() == 1  # who was seen once
    page.locator(".person-open").first.click()
    expect(page.locator(".person")).to_have_count(6)
    expect(page.locator("#people-split")).to_have_count(0)


def test_a_person_is_split_by_keys_alone(open_page, store, grouped):
    page = open_page(galleries=(grouped,), limits=FREE)
    expect(page.locator("#about")).to_contain_text("crops")
    tab_to(page, "[data-view=people]", most=60)
    page.keyboard.press("Enter")
    expect(page.locator(".person")).to_have_count(8)
    tab_to(page, ".person-open", most=60)
    page.keyboard.press("Enter")
    expect(page.locator(".person")).to_have_count(6)
    tab_to(page, ".person input", most=60)
    page.keyboard.press("Space")
    page.locator("#people-split").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".person")).to_have_count(1)
    assert store.groups.state(grouped).people == 9


@pytest.mark.parametrize(("viewport", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_people_can_be_read_at_every_size(open_page, grouped, viewport, scheme):
    page = open_page(viewport, scheme, galleries=(grouped,), limits=FREE)
    people(page)
    expect(page.locator(".person")).to_have_count(8)
    for _ in range(2):
        assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMES) == [] and no_overflow(page)
        assert wrong_for_axe(page) == []
        if page.locator(".person-open").count():
            page.locator(".person-open").first.click()
            expect(page.locator("#people-split")).to_be_visible()
