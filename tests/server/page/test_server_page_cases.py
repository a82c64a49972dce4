"""Cases on the page, in a real browser: kept, found again after a reload, written by two, handed on."""

import re

import pytest
from browsing import CONTRAST, NAMES, PHONE, choose, expect, needs_chromium, no_overflow, results

from callers import FREE, person
from unveil.gallery.cases.verify import verify_package
from unveil.gallery.records import Filter

pytestmark = needs_chromium


def begin(page, name):
    page.get_by_role("button", name="Cases").click()
    page.fill("#case-name", name)
    page.keyboard.press("Enter")
    expect(page.locator("#cases-title")).to_have_text(name)


def with_results(page, number=3):
    page.get_by_role("button", name="Search", exact=True).first.click()
    choose(page, person(number))
    page.click("#search")
    return results(page)


def test_a_case_survives_reload_and_restart(open_page, store, own_gallery, live):
    address = live(galleries=(own_gallery,), limits=FREE)
    page = open_page(address=address)
    begin(page, "Stolen bicycle")
    page.locator("textarea").first.fill("black frame")
    page.get_by_role("button", name="Save").nth(1).click()
    expect(page.locator(".shared").nth(1)).to_contain_text("Saved")
    rows = with_results(page)
    page.locator(f"#hit-{rows[0]} .keep").click()
    expect(page.locator(f"#hit-{rows[0]} .keep")).to_have_attribute("aria-pressed", "true")
    page.locator(f"#hit-{rows[1]} .keep").click()
    expect(page.locator("#case-bar")).to_contain_text("2 sightings")
    page.locator(f"#hit-{rows[1]} .keep").click()
    expect(page.locator("#case-bar")).to_contain_text("1 sighting")
    page.locator(f"#hit-{rows[2]} .no").click()
    page.once("dialog", lambda dialog: dialog.accept("by the gate"))
    page.click("#keep-search")
    expect(page.locator("#say")).to_have_text("The search is kept")
    page.reload()
    expect(page.locator("#case-bar")).to_contain_text("Stolen bicycle")
    other = live(galleries=(own_gallery,), limits=FREE)  # another process would know no more than this new server
    page = open_page(address=other, path=page.url.removeprefix(address))
    page.get_by_role("button", name="Case: Stolen bicycle").click()
    expect(page.locator("textarea").first).to_have_value("black frame")
    expect(page.locator(".bookmark")).to_have_count(1)
    assert page.locator(".bookmark").get_attribute("data-item") == str(rows[0])
    expect(page.locator(".bookmark img")).to_have_attribute("src", re.compile("^blob:"))
    assert page.locator(".bookmark img").evaluate("image => image.decode().then(() => image.naturalHeight)") == 128
    with page.expect_request(lambda request: request.url.endswith("/searches")) as asked:
        page.locator(".kept").get_by_role("button", name="Search again").click()
    assert asked.value.post_data_json["rejected"] == [rows[2]]
    expect(page.locator("#skeleton")).to_be_hidden()
    assert len(results(page)) == len(rows) and rows[2] not in results(page)
    assert "case=" in page.url and "view=" not in page.url
    page.go_back()
    expect(page.locator("#view-cases")).to_be_visible()


def test_of_two_who_write_the_second_sees_both_texts(open_page, own_gallery, live):
    address = live(galleries=(own_gallery,), limits=FREE)
    first = open_page(address=address)
    begin(first, "Two writers")
    second = open_page(address=address, path=first.url.removeprefix(address))
    expect(second.locator("#cases-title")).to_have_text("Two writers")
    first.locator("textarea").first.fill("from the first")
    first.get_by_role("button", name="Save").nth(1).click()
    expect(first.locator(".shared").nth(1)).to_contain_text("Saved")
    notes = second.locator(".shared").nth(1)
    notes.locator("textarea").fill("from the second")
    notes.get_by_role("button", name="Save").first.click()
    clash = notes.locator(".clash")
    expect(clash).to_contain_text("local changed this text meanwhile")
    expect(clash.locator("blockquote")).to_have_text("from the first")
    expect(notes.locator("textarea")).to_have_value("from the second")
    assert second.evaluate(CONTRAST) == [] and second.evaluate(NAMES) == []
    clash.get_by_role("button", name="Take theirs").click()
    expect(notes.locator("textarea")).to_have_value("from the first")
    notes.locator("textarea").fill("from the first, and the second")
    notes.get_by_role("button", name="Save").first.click()
    expect(notes).to_contain_text("Saved")
    first.reload()
    expect(first.locator("textarea").first).to_have_value("from the first, and the second")


def test_a_note_a_deletion_and_the_package(open_page, store, own_gallery, tmp_path):
    page = open_page(galleries=(own_gallery,), limits=FREE)
    begin(page, "Package")
    rows = with_results(page)
    labels = [item.person for item in store.items(own_gallery, rows)]
    gone, kept = rows[0], rows[next(n for n, label in enumerate(labels) if label != labels[0])]
    for row in (gone, kept):
        page.locator(f"#hit-{row} .keep").click()
        expect(page.locator(f"#hit-{row} .keep")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Case: Package").click()
    note = page.locator(f".bookmark[data-item='{kept}']")
    note.locator("textarea").fill("with a red bag")
    note.get_by_role("button", name="Save").click()
    expect(note).to_contain_text("Saved")
    store.delete(own_gallery, Filter(persons=(labels[0],)))
    page.reload()
    expect(page.locator(".bookmark")).to_have_count(1)
    expect(page.locator("#case-lost")).to_contain_text(re.compile("rows were removed.*1 sightings"))
    page.check("#case-faces")
    with page.expect_download() as download:
        page.click("#case-export")
    path = tmp_path / "case.zip"
    download.value.save_as(path)
    manifest, wrong = verify_package(path)
    assert wrong == [] and manifest.case == "Package" and f"crops/{own_gallery}-{kept}.jpg" in manifest.files
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete the case").click()
    expect(page.locator("#case-name")).to_be_visible()
    expect(page.locator(".case-row", has_text="Package")).to_have_count(0)


@pytest.mark.parametrize(("viewport", "scheme"), [(PHONE, "dark"), ({"width": 1280, "height": 900}, "light")])
def test_cases_can_be_read_at_every_size(open_page, own_gallery, viewport, scheme):
    page = open_page(viewport, scheme, galleries=(own_gallery,), limits=FREE)
    begin(page, f"Size {scheme}")
    rows = with_results(page)
    page.locator(f"#hit-{rows[0]} .keep").click()
    page.once("dialog", lambda dialog: dialog.accept("one"))
    page.click("#keep-search")
    expect(page.locator("#say")).to_have_text("The search is kept")
    assert no_overflow(page)
    page.get_by_role("button", name="Case: Size").click()
    expect(page.locator(".kept li")).to_have_count(1)
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMES) == [] and no_overflow(page)
    page.get_by_role("button", name="All cases").click()
    expect(page.locator("#case-name")).to_be_visible()
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMES) == [] and no_overflow(page)
