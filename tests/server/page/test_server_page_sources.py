"""A result in detail, in a real browser: the whole frame, the film, the crops of its track, stepping by keys."""

import re

import pytest
from browsing import choose, expect, needs_chromium

from callers import FREE
from films import box_at, write_boxes, write_film
from generated import figure
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.records import Filter
from unveil.video.detectors.precomputed import GivenBoxes

pytestmark = needs_chromium


@pytest.fixture
def filmed(store, engine, own_gallery, tmp_path):
    """Name of a gallery with the people of a film, and the folder of the film."""
    store.delete(own_gallery, Filter())
    folder = tmp_path / "films"
    folder.mkdir()
    film = write_film(folder / "hall.mp4", frames=120, people=3, codec="libx264")
    boxes = GivenBoxes(write_boxes(tmp_path / "boxes.csv", frames=120, people=3, tracks=True))
    add_video(
        store,
        own_gallery,
        engine=engine,
        source=film,
        detector=boxes,
        settings=VideoSettings(camera="hall", start_time=1.7e9, crops=7),
    )
    return own_gallery, folder


@pytest.fixture
def found(open_page, filmed):
    """The page with the three tracks of the film as results."""

    def search(**settings):
        gallery, folder = filmed
        page = open_page(galleries=(gallery,), **{"sources": (folder,), "limits": FREE, **settings})
        choose(page, figure(1, 0, 0, 60, 24))
        page.click("#search")
        expect(page.locator("#hits .hit")).to_have_count(3)
        return page

    return search


def test_a_result_opens_with_the_whole_frame_and_the_box_around_the_person(found, store, filmed):
    page = found()
    row = store.items(filmed[0], [int(page.locator("#hits .hit").first.get_attribute("data-item"))])[0]
    page.locator("#hits .image").first.click()
    image = page.locator("#detail .whole img")
    expect(image).to_be_visible()
    assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [160, 96]
    frame, spot = image.bounding_box(), page.locator("#detail .spot").bounding_box()
    scale = frame["width"] / 160
    x, y, w, h = box_at(1, row.frame)
    assert spot["x"] - frame["x"] == pytest.approx(scale * x, abs=2)
    assert spot["y"] - frame["y"] == pytest.approx(scale * y, abs=2)
    assert (spot["width"], spot["height"]) == (pytest.approx(scale * w, abs=2), pytest.approx(scale * h, abs=2))
    strip = page.locator("#detail .strip button")
    crops = store.crops_of(filmed[0], row.key)
    assert len(crops) > 4
    expect(strip).to_have_count(len(crops))
    with page.expect_response(re.compile("/source$")) as asked:
        strip.last.click()
    crop = store.items(filmed[0], [int(asked.value.url.split("/")[-2])])[0]
    x = box_at(1, crop.frame)[0]
    expect(page.locator("#detail .spot")).to_have_attribute("style", re.compile(f"left: {100 * x / 160:.4g}"))


def test_the_film_around_a_sighting_plays(found):
    page = found()
    page.locator("#hits .image").first.click()
    expect(page.locator("#detail .whole")).to_be_visible()
    page.get_by_role("button", name="Play").click()
    video = page.locator("#detail video")
    expect(video).to_be_visible()
    page.wait_for_function("() => document.querySelector('#detail video').currentTime > 0.3")
    assert video.evaluate("v => [v.videoWidth, v.error]") == [160, None]
    expect(page.locator(".view-words")).to_contain_text("without sound")
    page.get_by_role("button", name="Whole frame").click()
    expect(video).to_have_count(0)


def test_arrow_keys_step_through_the_sightings_in_order_of_time(found, store, filmed):
    page = found()
    page.select_option("#sighted", "all")
    rows = [int(card.get_attribute("data-item")) for card in page.locator("#hits .hit").all()]
    by_time = sorted(store.items(filmed[0], rows), key=lambda row: row.time)
    page.locator(f"#hit-{by_time[0].id} .image").click()
    expect(page.get_by_role("button", name="Previous sighting")).to_be_disabled()
    for row in by_time[1:]:
        page.keyboard.press("ArrowRight")
        expect(page.locator("#detail dl")).to_contain_text(re.compile(rf"Row\s*{row.id}$"))
    expect(page.get_by_role("button", name="Next sighting")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#detail dl")).to_contain_text(re.compile(rf"Row\s*{by_time[1].id}$"))
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()


def test_where_the_source_is_gone_the_crop_is_shown_and_a_sentence_says_so(found, filmed):
    page = found()
    (filmed[1] / "hall.mp4").unlink()
    page.locator("#hits .image").first.click()
    expect(page.locator(".view-words")).to_contain_text("is not there any more")
    expect(page.locator("#detail .framed img")).to_be_visible()
    expect(page.get_by_role("button", name="Whole frame")).to_be_disabled()
    expect(page.get_by_role("button", name="Play")).to_be_disabled()
    expect(page.locator("#detail .strip button").nth(4)).to_be_attached()
