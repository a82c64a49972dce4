"""Several images in several galleries on the page, in a real browser: one table of answers."""

import csv
import io
import re

from browsing import CONTRAST, NAMES, PHONE, expect, needs_chromium, no_overflow, results

from callers import FREE, encoded, person
from unveil.server.settings import Limits

pytestmark = needs_chromium


def images(*numbers):
    return [
        {"name": f"={n}.png" if n == 5 else f"p{n}.png", "mimeType": "image/png", "buffer": encoded(person(n))}
        for n in numbers
    ]


def test_a_folder_of_images_gives_a_table_of_answers_from_all_galleries(open_page, store, fill, own_gallery):
    other = fill(f"{own_gallery}b")
    page = open_page(PHONE, galleries=(own_gallery, other), limits=FREE)
    page.get_by_role("button", name="Several").click()
    boxes = page.locator("[name=several-gallery]")
    expect(boxes).to_have_count(2)  # the view comes once the galleries are known
    assert [box.get_attribute("value") for box in boxes.all()] == sorted((own_gallery, other))
    for box in boxes.all():
        box.check(force=True)
    broken = {"name": "x.png", "mimeType": "image/png", "buffer": b"x"}
    page.set_input_files("#several-files", [*images(2, 5), broken])
    page.select_option("#several-top", "5")
    page.locator("#several-form .primary").click()
    expect(page.locator("#several-state")).to_have_text("3 of 3 answered")
    rows = page.locator(".several tbody tr")
    assert "not an image" in rows.nth(2).inner_text()
    for row, label in ((rows.nth(0), "p02"), (rows.nth(1), "p05")):
        hits = row.locator("li").all()
        found = [(hit.get_attribute("data-gallery"), int(hit.get_attribute("data-item"))) for hit in hits]
        assert len(found) == 5 and {gallery for gallery, _ in found} == {own_gallery, other}
        assert {store.items(gallery, [item])[0].person for gallery, item in found[:4]} == {label}
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMES) == [] and no_overflow(page)
    with page.expect_download() as download:
        page.click("#several-csv")
    table = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert len(table) == 11 and [line["rank"] for line in table[:5]] == ["1", "2", "3", "4", "5"]
    assert table[5]["image"] == "'=5.png" and table[0]["time_iso"].startswith("2023-11-14T2")
    assert [float(line["distance"]) for line in table[:5]] == sorted(float(line["distance"]) for line in table[:5])
    assert table[10]["row"] == "" and "not an image" in table[10]["error"]
    rows.nth(0).get_by_role("button", name="Open this search").click()
    expect(page.locator("#hint")).to_contain_text("whole image")
    page.click("#search")
    assert len(results(page)) == 20


def test_without_a_gallery_nothing_is_asked(open_page, own_gallery):
    page = open_page(galleries=(own_gallery,), limits=FREE)
    page.get_by_role("button", name="Several").click()
    page.locator("[name=several-gallery]").uncheck(force=True)
    page.set_input_files("#several-files", images(2))
    page.locator("#several-form .primary").click()
    expect(page.locator("#several-error")).to_have_text("Choose a gallery.")


def ask_with(page, *numbers):
    page.get_by_role("button", name="Several").click()
    page.set_input_files("#several-files", images(*numbers))
    page.locator("#several-form .primary").click()


def test_more_images_than_the_servers_rate_allows_at_once_are_answered_later(open_page, own_gallery):
    page = open_page(galleries=(own_gallery,), limits=Limits(rate=30, burst=2, refused=0))
    statuses, asked = [], re.compile(r"/(images|searches)$")
    page.on("response", lambda response: statuses.append(response.status) if asked.search(response.url) else None)
    ask_with(page, 0, 1, 2)
    expect(page.locator("#several-state")).to_have_text("3 of 3 answered", timeout=60_000)
    assert page.locator(".several .error").count() == 0 and page.locator(".several-hits").count() == 3
    assert statuses.count(201) == 6 and set(statuses) <= {201, 429}
    expect(page.locator(".several-hits img[src]")).to_have_count(9)


def test_waiting_for_the_server_has_an_end_and_another_start_ends_it(open_page, own_gallery):
    page = open_page(galleries=(own_gallery,), limits=FREE)
    asked, again = [], ["3600"]

    def refuse(route):
        asked.append(route.request.url)
        body = {"error": "too many requests", "request": "x"}
        route.fulfill(status=429, json=body, headers={"Retry-After": again[-1]})

    page.route("**/images", refuse)
    ask_with(page, 1)
    expect(page.locator("#several-state")).to_have_text("1 of 1 answered")
    assert len(asked) == 1, "an hour is too long"
    again.append("0")
    page.locator("#several-form .primary").click()
    expect(page.locator(".several .error")).to_have_text("Too many requests.")
    assert 1 < len(asked) <= 20
    again.append("1")
    page.locator("#several-form .primary").click()
    expect(page.locator("#several-state")).to_have_text("0 of 1 answered")
    page.unroute("**/images")
    page.set_input_files("#several-files", images(2, 3))
    page.locator("#several-form .primary").click()
    expect(page.locator("#several-state")).to_have_text("2 of 2 answered")
    expect(page.locator(".several .error")).to_have_count(0)
