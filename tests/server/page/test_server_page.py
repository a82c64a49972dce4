"""The page in a real browser, over the real server: what a person does with mouse, finger and keys."""

import re

import numpy as np
from browsing import CONTRAST, NAMES, choose, expect, needs_chromium, results, tab_to

from callers import FREE, encoded, frame, person
from unveil.server.access.tokens import new_token

pytestmark = needs_chromium


def people(store, gallery, rows):
    return [item.person for item in store.items(gallery, rows)]


def test_choosing_an_image_and_searching_gives_the_person_first_with_reasons(open_page, store, gallery, engine):
    page = open_page(galleries=(gallery,))
    expect(page.locator("#gallery")).to_have_value(gallery)
    expect(page.locator("#about")).to_contain_text("48 crops · 3 cameras")
    expect(page.locator("#empty")).to_be_visible()
    choose(page, person(3))
    page.click("#search")
    rows = results(page)
    assert len(rows) == 20 and people(store, gallery, rows[:4]) == ["p03"] * 4
    first = page.locator("#hits .hit").first
    assert float(first.locator(".score b").inner_text()) < float(
        page.locator("#hits .hit").last.locator(".score b").inner_text()
    )
    expect(first.locator(".parts li").first).to_be_visible()
    expect(first.locator(".reason")).not_to_be_empty()
    assert first.locator("img").evaluate("image => image.decode().then(() => image.naturalHeight)") == 128
    expect(page.locator("#verdict")).to_contain_text("Not calibrated")
    expect(page.locator("#facts")).to_contain_text("48 rows took part")
    expect(page.locator("#model")).to_have_text(f"Model {engine.name} ({engine.fingerprint}), licence not stated")


def test_a_box_drawn_by_mouse_is_what_is_searched_for(open_page, store, gallery):
    page = open_page(galleries=(gallery,))
    wide, boxes = frame(6, 2)
    choose(page, wide)
    area = page.locator(".surface img").bounding_box()
    scale = area["width"] / 400

    for number, box in ((2, boxes[1]), (6, boxes[0])):
        page.mouse.move(area["x"] + scale * box["x"], area["y"] + scale * box["y"])
        page.mouse.down()
        page.mouse.move(area["x"] + scale * (box["x"] + 30), area["y"] + scale * (box["y"] + 60))
        page.mouse.move(area["x"] + scale * (box["x"] + 64), area["y"] + scale * (box["y"] + 128))
        page.mouse.up()
        expect(page.locator(".box.drawn")).to_have_attribute("aria-pressed", "true")
        with page.expect_response(lambda response: response.url.endswith("/searches")) as answered:
            page.click("#search")
        sent = answered.value.request.post_data_json["positives"][0]["box"]
        assert all(abs(sent[side] - box[side]) <= 3 for side in box), (sent, box)
        expect(page.locator("#skeleton")).to_be_hidden()
        assert people(store, gallery, results(page)[:2]) == [f"p{number:02d}"] * 2
    page.click("#whole")
    expect(page.locator(".box.drawn")).to_have_attribute("aria-pressed", "false")


def test_filters_reach_the_results(open_page, store, gallery):
    page = open_page(galleries=(gallery,))
    choose(page, person(1))
    page.locator("#cameras span", has_text="c1").click()
    page.locator("#more summary").click()
    page.fill("#tags", "hall")
    page.locator("#visible").fill("50")
    page.select_option("#top", "100")
    page.click("#search")
    found = store.items(gallery, results(page))
    assert len(found) == 8 and {item.camera for item in found} == {"c1"} and min(i.visible for i in found) >= 0.5
    page.fill("#start", "2023-11-15T00:00:00")
    page.fill("#end", "2023-11-14T00:00:00")
    page.click("#search")
    expect(page.locator("#query-error")).to_have_text('"From" is after "To".')
    page.fill("#start", "")
    page.fill("#end", "2001-01-01T00:00:00")
    page.click("#search")
    expect(page.locator("#title")).to_have_text("Nothing found")
    expect(page.locator("#verdict")).to_contain_text("No row passes the filters")


def test_feedback_is_kept_and_refine(open_page, store, own_gallery):
    page = open_page(galleries=(own_gallery,))
    choose(page, np.concatenate([person(1)[:64], person(5)[64:]]))
    page.click("#search")
    before = results(page)
    labels = people(store, own_gallery, before)
    yes, no = before[labels.index("p05")], before[labels.index("p01")]
    page.locator(f"#hit-{yes} .yes").click()
    page.locator(f"#hit-{no} .no").click()
    expect(page.locator("#refine-text")).to_have_text("1 confirmed, 1 rejected")
    expect(page.locator(f"#hit-{yes} .yes")).to_have_attribute("aria-pressed", "true")
    with page.expect_response(lambda response: response.url.endswith("/searches")):
        page.click("#again")
    expect(page.locator("#skeleton")).to_be_hidden()
    expect(page.locator("#verdict")).to_contain_text("Searched again: ")
    page.wait_for_function("scrollY === 0")
    after = results(page)
    assert no not in after and after.index(yes) <= before.index(yes)
    assert people(store, own_gallery, after[:2]) == ["p05"] * 2
    expect(page.locator(f"#hit-{yes}")).to_have_class(re.compile("confirmed"))
    assert {(row, same) for _, row, same in store.feedback.all(own_gallery)} == {(yes, True), (no, False)}


def say(page, row, click):
    """Give feedback and wait until the store has it."""
    with page.expect_response(lambda response: response.url.endswith("/feedback")):
        page.locator(f"#hit-{row} .{click}").click()


def test_feedback_that_is_taken_back_is_gone_from_the_store(open_page, store, own_gallery):
    page = open_page(galleries=(own_gallery,))
    choose(page, person(1))
    page.click("#search")
    first, second, third = results(page)[:3]
    for row, click in ((first, "yes"), (first, "yes"), (second, "yes"), (second, "no"), (third, "no"), (third, "no")):
        say(page, row, click)
    expect(page.locator("#refine-text")).to_have_text("1 rejected")
    expect(page.locator(f"#hit-{first} .yes")).to_have_attribute("aria-pressed", "false")
    assert [(row, same) for _, row, same in store.feedback.all(own_gallery)] == [(second, False)]


def test_feedback_of_a_query_that_has_grown_since_is_changed_where_it_was_given(open_page, store, own_gallery):
    page = open_page(galleries=(own_gallery,))
    choose(page, person(1))
    page.click("#search")
    first, second, *_, last = results(page)
    say(page, first, "yes")
    say(page, last, "yes")
    page.locator(f"#hit-{second} .image").click()
    page.get_by_role("button", name="Add to the query").click()
    with page.expect_response(lambda response: response.url.endswith("/searches")):
        page.click("#search")
    expect(page.locator("#skeleton")).to_be_hidden()
    say(page, first, "yes")
    say(page, last, "no")
    assert [(row, same) for _, row, same in store.feedback.all(own_gallery)] == [(last, False)]


def test_feedback_that_the_server_refuses_leaves_what_was_said_before(open_page, store, own_gallery):
    page = open_page(galleries=(own_gallery,))
    choose(page, person(1))
    page.click("#search")
    first = results(page)[0]
    yes, no = page.locator(f"#hit-{first} .yes"), page.locator(f"#hit-{first} .no")
    say(page, first, "yes")
    page.route("**/feedback", lambda route: route.fulfill(status=503, json={"error": "not now", "request": "x"}))
    for refused in (no, yes):  # said otherwise, and taken back
        refused.click()
        expect(page.locator("#query-error")).to_contain_text("Not now.")
        expect(yes).to_have_attribute("aria-pressed", "true")
        expect(no).to_have_attribute("aria-pressed", "false")
        expect(page.locator("#refine-text")).to_have_text("1 confirmed")
    assert [(row, same) for _, row, same in store.feedback.all(own_gallery)] == [(first, True)]


def test_a_row_can_be_searched_from_added_and_ruled_out(open_page, store, gallery):
    page = open_page(galleries=(gallery,))
    choose(page, person(4))
    page.click("#search")
    third = results(page)[2]
    page.locator(f"#hit-{third} .image").click()
    expect(page.locator("#detail-title")).to_have_text(re.compile("Result 3"))
    expect(page.locator("#detail .parts li")).to_have_count(6)
    with page.expect_response(lambda response: response.url.endswith("/searches")):
        page.get_by_role("button", name="Search from this").click()
    expect(page.locator("#skeleton")).to_be_hidden()
    assert third not in results(page)
    other = results(page)[-1]
    page.locator(f"#hit-{other} .image").click()
    page.locator("#detail").get_by_role("button", name="Not this person").click()
    expect(page.locator(".piece.not")).to_have_count(1)
    with page.expect_request(lambda request: request.url.endswith("/searches")) as asked:
        page.click("#search")
    assert asked.value.post_data_json["negatives"] == [{"item": other}]
    assert asked.value.post_data_json["positives"] == [{"item": third}]


def test_what_goes_wrong_is_said_and_can_be_put_right(open_page, gallery, service_with, live):
    page = open_page(galleries=(gallery,))
    page.click("#search")
    expect(page.locator("#query-error")).to_have_text("Choose an image of the person first.")
    page.set_input_files("#file", {"name": "x.png", "mimeType": "image/png", "buffer": b"no image"})
    expect(page.locator("#query-error")).to_contain_text("not an image")
    choose(page, person(0))
    expect(page.locator("#query-error")).to_be_hidden()
    page.route("**/searches", lambda route: route.abort())
    page.click("#search")
    expect(page.locator("#query-error")).to_contain_text("does not answer")
    expect(page.locator("#search")).to_be_enabled()
    page.unroute("**/searches")
    page.click("#search")
    assert results(page)


def test_where_nobody_is_seen_a_search_is_offered_anyway(open_page, gallery, parser):
    page = open_page(galleries=(gallery,), parser=parser)
    choose(page, np.full((128, 64, 3), 120, np.uint8))
    expect(page.locator("#anyway")).to_be_hidden()
    page.click("#search")
    expect(page.locator("#query-error")).to_contain_text("no person is seen on it")
    assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMES) == []
    page.get_by_role("button", name="Search anyway").press("Enter")
    assert len(results(page)) == 20
    expect(page.locator("#anyway")).to_be_hidden()
    # It was said of that image, and is asked again of another.
    choose(page, np.full((128, 64, 3), 90, np.uint8))
    page.click("#search")
    expect(page.locator("#anyway")).to_be_visible()


def test_images_that_the_server_forgot_are_sent_again(open_page, gallery):
    from unveil.server.settings import Limits

    page = open_page(galleries=(gallery,), limits=Limits(rate=0, held_seconds=1.5))
    choose(page, person(5))
    page.wait_for_timeout(2_000)
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/images") else None)
    page.click("#search")
    assert len(results(page)) == 20 and len(sent) == 1


def test_signing_in_with_a_token_and_giving_a_reason(open_page, gallery, tmp_path, store):
    file = tmp_path / "tokens.json"
    token = new_token(file, "eva", role="reader")
    page = open_page(galleries=(gallery,), tokens=file, require_why=True, limits=FREE)
    expect(page.locator("#sign-in")).to_be_visible()
    page.fill("#token", "unveil_wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in-error")).to_contain_text("not known")
    page.fill("#token", token)
    page.keyboard.press("Enter")
    expect(page.locator("#session")).to_have_text("eva (reader): sign out")
    expect(page.locator("#blur-label")).to_be_hidden()
    choose(page, person(0))
    page.click("#search")
    expect(page.locator("#query-error")).to_contain_text("reason")
    page.fill("#why", "found wallet")
    page.keyboard.press("Enter")
    assert results(page)
    entry = [e for e in store.entries(gallery) if e["action"] == "search"][-1]
    assert (entry["who"], entry["why"]) == ("eva", "found wallet")
    page.click("#session")
    expect(page.locator("#sign-in")).to_be_visible()


def test_a_search_by_keys_alone(open_page, store, gallery):
    """Tab to the image, choose it, draw a box with the arrows, search, confirm a result: no mouse."""
    page = open_page(galleries=(gallery,))
    expect(page.locator("#about")).to_contain_text("crops")
    wide, _ = frame(2)
    picked = {"name": "frame.png", "mimeType": "image/png", "buffer": encoded(wide)}
    page.on("filechooser", lambda chooser: chooser.set_files(picked))
    tab_to(page, "#file", most=60)
    ring = page.locator("#drop").evaluate("node => getComputedStyle(node).outlineStyle")
    assert ring == "solid", "the focus must be seen"
    page.keyboard.press("Enter")
    expect(page.locator("#hint")).to_have_text(re.compile("found|whole image"))
    tab_to(page, "#draw", most=60)
    page.keyboard.press("Enter")
    expect(page.locator(".box.drawn:focus")).to_have_count(1)
    for key, times in (("ArrowLeft", 32), ("Shift+ArrowRight", 0), ("ArrowDown", 3)):
        for _ in range(times):
            page.keyboard.press(key)
    for _ in range(4):
        page.keyboard.press("Shift+ArrowUp")
    tab_to(page, "#search", most=60)
    with page.expect_request(lambda request: request.url.endswith("/searches")) as asked:
        page.keyboard.press("Enter")
    assert asked.value.post_data_json["positives"][0]["box"] == {"x": 32, "y": 60, "width": 80, "height": 128}
    rows = results(page)
    assert people(store, gallery, rows[:1]) == ["p02"]
    expect(page.locator("#title:focus")).to_have_count(1)
    tab_to(page, f"#hit-{rows[0]} .yes", most=60)
    page.keyboard.press("Space")
    expect(page.locator("#refine-text")).to_have_text("1 confirmed")


def test_several_images_of_one_person_and_pasting(open_page, gallery):
    page = open_page(galleries=(gallery,))
    page.set_input_files("#file", [
        {"name": f"{n}.png", "mimeType": "image/png", "buffer": encoded(person(3, 0, n))} for n in (7, 8)
    ])  # fmt: skip
    expect(page.locator(".piece")).to_have_count(2)
    with page.expect_request(lambda request: request.url.endswith("/searches")) as asked:
        page.click("#search")
    assert len(asked.value.post_data_json["positives"]) == 2
    paste = """async (bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], 'pasted.png', { type: 'image/png' }));
      window.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
    }"""
    page.evaluate(paste, list(encoded(person(6))))
    expect(page.locator("#pieces")).to_be_hidden()  # one image is its own preview
    expect(page.locator("#hint")).to_contain_text("whole image")
