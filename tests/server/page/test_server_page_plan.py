"""The floor plan on the page, in a real browser: sent, cameras placed by mouse and keys, the path of a person on it."""

import json
import re
from itertools import pairwise

import pytest
from browsing import (
    CONTRAST,
    DESK,
    NAMES,
    PHONE,
    choose,
    expect,
    needs_chromium,
    no_overflow,
    results,
    tab_to,
    wrong_for_axe,
)

from callers import FREE, drawn_plan, encoded, person
from unveil.gallery.plan_records import PlanScale
from unveil.server.access.tokens import new_token

pytestmark = needs_chromium
PLACES = {"c0": (60.0, 50.0), "c1": (60.0, 150.0), "c2": (240.0, 100.0)}


def image():
    return encoded(drawn_plan(), "JPEG")


@pytest.fixture
def planned(store, own_gallery):
    """A gallery whose cameras stand on a plan, 5 km apart."""
    store.plans.put(own_gallery, image(), width=300, height=200, who="ann")
    scale = PlanScale((0.0, 0.0), (100.0, 0.0), 5_000.0)
    store.plans.write(own_gallery, cameras=PLACES, scale=scale, version=1, who="ann")
    return own_gallery


def confirmed(page, store, gallery, number=7):
    """Search for a person and confirm all results that show the person; return them."""
    choose(page, person(number))
    page.click("#search")
    rows = results(page)
    mine = [item.id for item in store.items(gallery, rows) if item.person == f"p{number:02d}"]
    for row in mine:
        page.locator(f"#hit-{row} .yes").click()
    return mine


def test_an_admin_sends_a_plan_and_places_cameras_by_mouse(open_page, store, own_gallery):
    page = open_page(galleries=(own_gallery,), limits=FREE)
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator("#plan-body")).to_contain_text("no plan yet")
    page.set_input_files("#plan-file", {"name": "plan.jpg", "mimeType": "image/jpeg", "buffer": image()})
    expect(page.locator("#plan-map .plan")).to_be_visible()
    expect(page.locator("#plan-save")).to_be_disabled()

    def click(name, x, y):
        page.locator(f"[data-place='{name}']").click()
        area = page.locator("#plan-map image").bounding_box()
        page.mouse.click(area["x"] + x / 300 * area["width"], area["y"] + y / 200 * area["height"])

    click("c0", 60, 50)
    click("c1", 60, 150)
    page.locator("[data-take-off=c0]").click()
    click("c0", 100, 50)
    page.fill("#plan-metres", "20")
    page.click("#plan-save")
    expect(page.locator("#plan-error")).to_contain_text("The scale needs both ends")
    click("scale:start", 10, 10)
    click("scale:end", 210, 10)
    page.click("#plan-save")
    expect(page.locator("#plan-state")).to_have_text("Saved")
    plan = store.plans.get(own_gallery)
    assert plan.cameras["c0"] == pytest.approx((100, 50), abs=1.5)
    assert plan.cameras["c1"] == pytest.approx((60, 150), abs=1.5) and plan.scale.metres == 20
    assert plan.scale.metres_a_pixel == pytest.approx(0.1, rel=0.02)
    page.reload()
    expect(page.locator("#plan-map .pin")).to_have_count(4)
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#plan-remove")
    expect(page.locator("#plan-body")).to_contain_text("no plan yet")
    assert store.plans.get(own_gallery) is None


def test_cameras_are_placed_by_keys_alone(open_page, store, own_gallery):
    store.plans.put(own_gallery, image(), width=300, height=200, who="ann")
    page = open_page(galleries=(own_gallery,), limits=FREE, path="/#view=plan")
    expect(page.locator("#plan-map .plan")).to_be_visible()
    tab_to(page, "[data-place=c1]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-point=c1]:focus")).to_have_count(1)
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown", "Shift+ArrowRight"):
        page.keyboard.press(key)
    tab_to(page, "#plan-save")
    page.keyboard.press("Enter")
    expect(page.locator("#plan-state")).to_have_text("Saved")
    assert store.plans.get(own_gallery).cameras == {"c1": pytest.approx((150 - 6 + 0.6, 103))}


def test_of_two_admins_the_second_overwrites_nothing(open_page, store, planned):
    page = open_page(galleries=(planned,), limits=FREE, path="/#view=plan")
    expect(page.locator("#plan-map .pin")).to_have_count(5)
    store.plans.write(planned, cameras={"c0": (1.0, 1.0)}, scale=None, version=2, who="ben")
    page.locator("[data-take-off=c2]").click()
    page.click("#plan-save")
    expect(page.locator("#view-error")).to_contain_text("Ben changed the plan meanwhile")
    assert store.plans.get(planned).cameras == {"c0": (1.0, 1.0)}


def test_only_a_confirmed_person_has_a_way_and_one_who_was_too_fast_is_flagged(open_page, store, planned):
    page = open_page(galleries=(planned,), limits=FREE)
    mine = confirmed(page, store, planned)
    expect(page.locator("#sighted")).to_have_value("all")
    expect(page.locator("#path .plan")).to_have_count(0)
    page.select_option("#sighted", "confirmed")
    expect(page.locator("#path .plan")).to_be_visible()
    cameras = [item.camera for item in sorted(store.items(planned, mine), key=lambda item: item.time)]
    legs = {pair for pair in pairwise(cameras) if pair[0] != pair[1]}
    assert page.locator("#path .leg").count() == len(legs) > 1
    assert page.locator("#path .leg.impossible").count() == len(legs)  # kilometres in a minute
    expect(page.locator(".impossible-words")).to_contain_text(re.compile(r"5000 m from c0 to c1 in \d+ s"))
    counts = page.locator("#path .pin.seen text").all_text_contents()
    assert sorted(counts) == [f"{camera} ({cameras.count(camera)})" for camera in sorted(set(cameras))]


def test_the_greatest_speed_is_that_of_the_server(open_page, store, planned):
    page = open_page(galleries=(planned,), limits=FREE)

    def faster(route):
        told = route.fetch().json()
        route.fulfill(body=json.dumps([one | {"max_speed": 1e6} for one in told]), content_type="application/json")

    page.route("**/api/v1/galleries", faster)
    page.reload()
    confirmed(page, store, planned)
    page.select_option("#sighted", "confirmed")
    expect(page.locator("#path .leg").first).to_be_attached()
    expect(page.locator("#path .leg.impossible")).to_have_count(0)
    expect(page.locator(".impossible-words")).to_have_count(0)


def test_times_that_count_from_the_start_of_recordings_make_no_way_between_them(open_page, store, planned):
    page = open_page(galleries=(planned,), limits=FREE)

    def undated(route):
        told = route.fetch().json()
        for hit in told["hits"]:
            hit["item"]["time"] -= 1_699_999_000
        route.fulfill(body=json.dumps(told), content_type="application/json")

    page.route("**/searches", undated)
    mine = confirmed(page, store, planned)
    page.select_option("#sighted", "confirmed")
    recordings = {item.source for item in store.items(planned, mine)}
    expect(page.locator(".sighting")).to_have_count(len(mine))
    expect(page.locator("#timeline .path")).to_have_count(len(recordings))
    expect(page.locator("#path .pin.seen")).to_have_count(len(recordings))
    for gone in ("#path .leg", ".impossible-words", ".sighting.impossible", "#transitions tbody"):
        expect(page.locator(gone)).to_have_count(0)
    assert len(recordings) > 1


def test_a_reader_sees_the_plan_and_cannot_change_it(open_page, planned, tmp_path):
    file = tmp_path / "tokens.json"
    token = new_token(file, "eva", role="reader")
    page = open_page(galleries=(planned,), tokens=file, limits=FREE)
    page.fill("#token", token)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator("#plan-map .pin")).to_have_count(5)
    for gone in ("#plan-file", "#plan-save", "#plan-remove", ".plan-entry"):
        expect(page.locator(gone)).to_have_count(0)


@pytest.mark.parametrize(("viewport", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_a_plan_can_be_read_at_every_size(open_page, store, planned, viewport, scheme):
    page = open_page(viewport, scheme, galleries=(planned,), limits=FREE)
    confirmed(page, store, planned)
    page.select_option("#sighted", "confirmed")
    expect(page.locator("#path .plan")).to_be_visible()
    assert page.evaluate(NAMES) == [] and wrong_for_axe(page) == [] and no_overflow(page)
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator("#plan-map .pin")).to_have_count(5)
    assert page.locator("#plan-map .plan").bounding_box()["width"] > 0.5 * viewport["width"]
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMES) == [] and no_overflow(page)
    assert wrong_for_axe(page) == []
