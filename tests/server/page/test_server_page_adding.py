"""Adding films on the page, in a real browser: named, sent, paused, and still there after a reload."""

import threading

import pytest
from browsing import CONTRAST, NAMES, PHONE, expect, needs_chromium, no_overflow

from callers import FREE
from films import FigureDetector, write_film
from unveil.gallery.records import Filter
from unveil.server.access.tokens import new_token

pytestmark = needs_chromium


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "films"
    (root / "monday").mkdir(parents=True)
    write_film(root / "monday" / "b.mp4", frames=60, people=2)
    (root / "monday" / "broken.mp4").write_bytes((root / "monday" / "b.mp4").read_bytes()[:900])
    return root


def test_a_folder_is_named_and_its_job_survives_a_reload(open_page, store, own_gallery, folder):
    go = threading.Event()
    detector = FigureDetector(lambda: go.wait(60))
    page = open_page(galleries=(own_gallery,), ingest=(folder,), limits=FREE, detector=detector)
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("#places button", has_text="films").click()
    page.locator("#places button", has_text="monday").click()
    expect(page.locator("#add-source")).to_have_value(str(folder / "monday"))
    page.fill("#add-camera", "gate")
    page.fill("#add-start", "2026-03-02T08:00")
    page.locator("#add-form .primary").click()
    job = page.locator("#jobs > li").first
    expect(job).to_have_attribute("data-state", "running")
    page.reload()
    expect(page.locator("#view-adding")).to_be_visible()
    expect(job).to_have_attribute("data-state", "running")
    job.get_by_role("button", name="Pause").click()
    expect(job).to_have_attribute("data-state", "paused")
    job.get_by_role("button", name="Resume").click()
    go.set()
    expect(job).to_have_attribute("data-state", "done", timeout=60_000)
    expect(job).to_contain_text("2 tracks")
    job.locator("summary").click()
    expect(job.locator("details li")).to_contain_text("broken.mp4")
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMES) == []
    expect(page.locator("#about")).to_contain_text("2 tracks")
    rows = store.find(own_gallery, Filter(cameras=("gate",), rows="tracklet"))
    assert len(rows) == 2
    page.fill("#add-source", "/etc/passwd")
    page.locator("#add-form .primary").click()
    expect(page.locator("#add-error")).to_contain_text("lies in no folder")


def test_a_file_is_sent_and_added_on_a_phone(open_page, store, own_gallery, folder, tmp_path):
    place = tmp_path / "sent"
    place.mkdir()
    page = open_page(PHONE, "dark", touch=True, galleries=(own_gallery,), uploads=place, limits=FREE,
                     detector=FigureDetector())  # fmt: skip
    expect(page.locator("#about")).to_contain_text("crops")  # the bar takes its place when this has come
    page.get_by_role("button", name="Add", exact=True).tap()
    page.fill("#add-camera", "sent")
    page.set_input_files("#add-file", folder / "monday" / "b.mp4")
    expect(page.locator("#jobs > li").first).to_have_attribute("data-state", "done", timeout=60_000)
    assert (place / own_gallery / "b.mp4").is_file()
    assert len(store.find(own_gallery, Filter(cameras=("sent",), rows="tracklet"))) == 2
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMES) == [] and no_overflow(page)


def test_files_that_ask_too_often_together_are_sent_all_the_same(open_page, own_gallery, folder, tmp_path):
    place = tmp_path / "sent"
    place.mkdir()
    page = open_page(galleries=(own_gallery,), uploads=place, limits=FREE, detector=FigureDetector())
    refused = []

    def first_refused(route):
        if route.request.url in refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=429, json={"error": "too many requests", "request": "x"}, headers={"Retry-After": "0"})

    page.route("**/uploads**", first_refused)
    page.get_by_role("button", name="Add", exact=True).click()
    second = folder / "c.mp4"
    second.write_bytes((folder / "monday" / "b.mp4").read_bytes() + b"c")
    page.set_input_files("#add-file", [folder / "monday" / "b.mp4", second])
    expect(page.locator("#jobs > li")).to_have_count(2)
    expect(page.locator("#sending > li")).to_have_count(0)
    expect(page.locator("#add-error")).to_be_hidden()
    assert len(refused) == 3  # where both begin, and a piece of each
    assert sorted(path.name for path in (place / own_gallery).glob("*.mp4")) == ["b.mp4", "c.mp4"]


def test_a_reader_sees_nothing_of_it(open_page, own_gallery, tmp_path):
    file = tmp_path / "tokens.json"
    token = new_token(file, "eva", role="reader")
    page = open_page(galleries=(own_gallery,), tokens=file, limits=FREE)
    page.fill("#token", token)
    page.keyboard.press("Enter")
    expect(page.locator("#about")).to_contain_text("crops")
    expect(page.get_by_role("button", name="Add", exact=True)).to_be_hidden()
