"""The page in a real browser, while its words and galleries have not come yet."""

import re

from browsing import choose, expect, needs_chromium, results

from callers import FREE, encoded, group_people, person

pytestmark = needs_chromium


def test_an_image_that_is_chosen_before_the_words_have_come_is_taken(open_page, gallery):
    page = open_page(galleries=(gallery,))
    held = []
    page.route("**/page/words.json", lambda route: held.append(route))
    page.reload(wait_until="load")
    page.set_input_files("#file", {"name": "early.png", "mimeType": "image/png", "buffer": encoded(person(4))})
    page.wait_for_timeout(200)
    assert held
    assert page.locator("#search").text_content().strip() == ""
    held.pop().continue_()
    expect(page.locator("#hint")).to_have_text(re.compile("found|whole image|No person"))


def test_what_is_pressed_before_the_galleries_are_known_waits_for_them(open_page, gallery):
    page = open_page(galleries=(gallery,))
    held = []
    page.route("**/api/v1/session", lambda route: held.append(route))
    page.reload()
    choose(page, person(4))
    page.click("#search")
    page.get_by_role("button", name="People", exact=True).click()
    page.get_by_role("button", name="Search", exact=True).first.click()
    page.wait_for_timeout(200)
    assert held
    held.pop().continue_()
    assert results(page)


def test_a_form_that_is_sent_before_the_words_have_come_keeps_what_is_in_it(open_page, gallery):
    page = open_page(galleries=(gallery,))
    held = []
    page.route("**/page/words.json", lambda route: held.append(route))
    page.reload(wait_until="load")
    page.fill("#why", "early")
    page.press("#why", "Enter")
    page.wait_for_timeout(200)
    held.pop().continue_()
    expect(page.locator("#about")).to_contain_text("crops")
    expect(page.locator("#why")).to_have_value("early")


def test_a_view_that_is_asked_for_early_is_drawn_once_and_keeps_what_is_chosen_on_it(open_page, store, own_gallery):
    group_people(store, own_gallery)
    page = open_page(galleries=(own_gallery,), limits=FREE)
    held, asked = [], []
    page.route("**/alerts?*", lambda route: held.append(route))
    page.on("request", lambda request: asked.append(request.url) if "/people?" in request.url else None)
    page.reload()
    page.get_by_role("button", name="People", exact=True).click()
    page.wait_for_timeout(200)
    assert held and not asked
    held.pop().continue_()
    for position in range(2):
        page.locator(".person input").nth(position).check()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#people-merge")).to_be_enabled()
    assert len(asked) == 1
