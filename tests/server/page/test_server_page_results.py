"""The page in a real browser: what it shows of results besides their order, and the reports of them."""

import json
import re
from itertools import pairwise

import pytest
from browsing import choose, expect, needs_chromium, results

from callers import person

pytestmark = needs_chromium


def people(store, gallery, rows):
    return [item.person for item in store.items(gallery, rows)]


def test_times_are_shown_and_read_in_the_zone_that_is_chosen(open_page, gallery):
    page = open_page(galleries=(gallery,), zone="Asia/Tokyo")
    expect(page.locator("#zone")).to_have_value("Asia/Tokyo")
    expect(page.locator("#about")).to_contain_text("Nov 15, 07:13:20")
    choose(page, person(1))
    page.click("#search")
    results(page)
    page.select_option("#zone", "UTC")
    expect(page.locator("#about")).to_contain_text("Nov 14, 22:13:20")
    expect(page.locator("#hits .place").first).to_contain_text("Nov 14, 2")
    page.fill("#start", "2023-11-14T22:00:00")
    with page.expect_request(lambda request: request.url.endswith("/searches")) as asked:
        page.click("#search")
    assert asked.value.post_data_json["where"]["start"] == 1_699_999_200
    results(page)
    page.reload()
    expect(page.locator("#zone")).to_have_value("UTC")


def test_heat_map_timeline_and_transitions(open_page, store, gallery):
    page = open_page(galleries=(gallery,))
    choose(page, person(7))
    page.select_option("#top", "10") if page.locator("#top").is_visible() else None
    page.click("#search")
    rows = results(page)
    page.locator(f"#hit-{rows[0]} .warm").click()
    heat = page.locator(f"#hit-{rows[0]} img.heat")
    expect(heat).to_be_visible()
    assert heat.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    page.locator(f"#hit-{rows[0]} .warm").click()
    expect(heat).to_have_count(0)

    expect(page.locator(".sighting")).to_have_count(20)
    expect(page.locator("#sighted")).to_have_value("all")
    expect(page.locator(".path")).to_have_count(0)
    expect(page.locator("#transitions")).to_contain_text("no path")
    labels = people(store, gallery, rows)
    for row in [row for row, label in zip(rows, labels, strict=True) if label == "p07"]:
        page.locator(f"#hit-{row} .yes").click()
    page.select_option("#sighted", "confirmed")
    mine = [item for item in store.items(gallery, rows) if item.person == "p07"]
    expect(page.locator(".sighting")).to_have_count(len(mine))
    places = page.locator(".sighting").evaluate_all(
        "all => all.map(s => [Number(s.dataset.item), Number(s.getAttribute('x'))])"
    )
    by_time = [item.id for item in sorted(mine, key=lambda item: item.time)]
    assert [row for row, _ in sorted(places, key=lambda place: place[1])] == by_time
    cameras = [item.camera for item in sorted(mine, key=lambda item: item.time)]
    ways = {f"{a} → {b}" for a, b in pairwise(cameras) if a != b}
    assert set(page.locator("#transitions tbody td:first-child").all_inner_texts()) == ways and ways
    expect(page.locator(".path")).to_have_count(1)
    expect(page.locator(".sighting.impossible")).to_have_count(0)


def test_sightings_that_cannot_be_one_person_are_flagged(open_page, store, gallery):
    page = open_page(galleries=(gallery,), distances={frozenset(("c0", "c1")): 5_000.0})
    choose(page, person(7))
    page.click("#search")
    rows = results(page)
    mine = [row for row, label in zip(rows, people(store, gallery, rows), strict=True) if label == "p07"]
    for row in mine:
        page.locator(f"#hit-{row} .yes").click()
    page.select_option("#sighted", "confirmed")
    expect(page.locator(".impossible-words")).to_contain_text(re.compile(r"5000 m from c0 to c1 in \d+ s"))
    cameras = {item.id: item.camera for item in store.items(gallery, mine)}
    flagged = page.locator(".sighting.impossible").evaluate_all("all => all.map(s => Number(s.dataset.item))")
    assert sorted(flagged) == sorted(row for row in mine if cameras[row] in ("c0", "c1"))


@pytest.mark.parametrize("kind", ["html", "csv", "json"])
def test_the_report_is_exported(open_page, gallery, kind):
    page = open_page(galleries=(gallery,))
    choose(page, person(2))
    page.click("#search")
    first = results(page)[0]
    with page.expect_download() as download:
        page.locator(f"[data-export={kind}]").click()
    assert re.fullmatch(rf"unveil-{gallery}-\w{{12}}\.{kind}", download.value.suggested_filename)
    text = download.value.path().read_text()
    if kind == "json":
        assert json.loads(text)["hits"][0]["id"] == first
    elif kind == "csv":
        assert text.splitlines()[1].startswith(f"1,{first},")
    else:
        assert text.count("data:image/jpeg") == 21  # the query and its results
