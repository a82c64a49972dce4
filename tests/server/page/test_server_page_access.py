"""Every view of the page by axe-core, by keyboard alone, on a phone, light and dark, in every language."""

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

from callers import FREE, encoded, group_people, person
from films import FigureDetector, write_film
from unveil.gallery.alert_records import Alert
from unveil.gallery.records import Filter
from unveil.server.access.tokens import new_token

pytestmark = needs_chromium


@pytest.fixture
def filled(store, own_gallery, tmp_path):
    """Settings of a server whose gallery has an alert and a case, and that may add films and has two users."""
    folder = tmp_path / "films"
    folder.mkdir()
    write_film(folder / "a.mp4", frames=30, people=1)
    image = encoded(person(3), "JPEG")
    group_people(store, own_gallery)
    store.alerts.add(own_gallery, Alert("a coat", "h", 0.1, 0.2, 0.9, "gate", "a.mp4", 12.0, 30, (1, 2, 3, 4), image))
    case = store.cases.create(f"Access {tmp_path.name}", "root").id
    store.cases.bookmark(case, own_gallery, item=int(store.ids(own_gallery, Filter())[0]), who="root", note="seen")
    tokens = tmp_path / "tokens.json"
    token = new_token(tokens, "root", role="admin")
    new_token(tokens, "eva", role="reader")
    return {"galleries": (own_gallery,), "ingest": (folder,), "tokens": tokens, "limits": FREE,
            "detector": FigureDetector()}, token, case  # fmt: skip


def signed_in(page, token):
    page.fill("#token", token)
    page.keyboard.press("Enter")
    expect(page.locator("#session")).to_contain_text("root")


@pytest.mark.parametrize(("viewport", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_axe_finds_nothing_wrong_with_any_view(open_page, filled, viewport, scheme):
    settings, token, case = filled
    page = open_page(viewport, scheme, **settings)
    assert wrong_for_axe(page) == []  # the sign-in
    signed_in(page, token)
    choose(page, person(2))
    page.click("#search")
    rows = results(page)
    page.locator(f"#hit-{rows[0]} .yes").click()
    assert wrong_for_axe(page) == [] and no_overflow(page)
    page.locator("#hits .image").first.click()
    expect(page.locator("#detail")).to_be_visible()
    assert wrong_for_axe(page) == []
    page.keyboard.press("Escape")
    for view, ready in (
        ("people", ".person"), ("cases", "#case-name"), (f"cases&case={case}", ".bookmark"), ("adding", "#jobs li"),
        ("alerts", "[data-alert]"), ("admin", "[data-user=eva]"),
    ):  # fmt: skip
        page.evaluate(f"location.hash = 'view={view}'")
        expect(page.locator(ready).first).to_be_visible()
        assert (view, wrong_for_axe(page), page.evaluate(CONTRAST), page.evaluate(NAMES)) == (view, [], [], [])
        assert no_overflow(page), view


def test_a_case_by_keys_alone(open_page, own_gallery):
    """Begin a case, keep a result, write a note, export: no mouse."""
    page = open_page(galleries=(own_gallery,), limits=FREE)
    expect(page.locator("#about")).to_contain_text("crops")
    tab_to(page, "nav [data-view=cases]")
    page.keyboard.press("Enter")
    expect(page.locator("#case-name")).to_be_visible()
    tab_to(page, "#case-name")
    page.keyboard.type("By keys")
    page.keyboard.press("Enter")
    expect(page.locator("#cases-title")).to_have_text("By keys")
    choose(page, person(1))
    page.evaluate("document.activeElement.blur()")
    tab_to(page, "nav [data-view=search]")
    page.keyboard.press("Enter")
    tab_to(page, "#search")
    page.keyboard.press("Enter")
    row = results(page)[0]
    tab_to(page, f"#hit-{row} .keep")
    page.keyboard.press("Space")
    expect(page.locator(f"#hit-{row} .keep")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Shift+Tab")
    tab_to(page, "nav [data-view=cases]", 200)
    page.keyboard.press("Enter")
    expect(page.locator(".bookmark")).to_have_count(1)
    tab_to(page, ".bookmark textarea")
    page.keyboard.type("by the stairs")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".bookmark")).to_contain_text("Saved")
    tab_to(page, "#case-export")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".zip")


WORDS = {
    "de": ("Suche", "Ausschnitte"), "fr": ("Recherche", "vignettes"), "es": ("Búsqueda", "recortes"),
    "zh": ("搜索", "裁剪图"),
}  # fmt: skip


@pytest.mark.parametrize("language", WORDS)
def test_every_language_fits_and_is_kept(open_page, own_gallery, language):
    page = open_page(PHONE, galleries=(own_gallery,), limits=FREE)
    expect(page.locator("#about")).to_contain_text("crops")
    page.select_option("#language", language)
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("nav [data-view=search]")).to_have_text(WORDS[language][0])
    expect(page.locator("#about")).to_contain_text(WORDS[language][-1])
    page.set_input_files("#file", {"name": "x.png", "mimeType": "image/png", "buffer": encoded(person(1))})
    expect(page.locator("#hint")).not_to_be_empty()
    page.click("#search")
    assert len(results(page)) == 20 and no_overflow(page)
    page.reload()
    expect(page.locator("nav [data-view=search]")).to_have_text(WORDS[language][0])
    assert page.evaluate(NAMES) == []


@pytest.mark.parametrize("width", [920, 1280, 1600])
def test_the_bar_leaves_room_for_the_page_whatever_it_says(open_page, filled, width):
    settings, token, _ = filled
    page = open_page({"width": width, "height": 800}, **settings)
    signed_in(page, token)
    for language in WORDS:
        page.select_option("#language", language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("#about")).not_to_be_empty()
        bar = page.locator(".top").bounding_box()
        assert bar["height"] <= 160 and no_overflow(page), (language, bar)


def test_an_admin_makes_and_takes_back_a_token(open_page, filled, own_gallery, store, live):
    settings, token, _ = filled
    page = open_page(**settings)
    signed_in(page, token)
    page.get_by_role("button", name="Admin", exact=True).click()
    page.fill("#user-name", "ben")
    page.select_option("#user-role", "operator")
    page.fill("#user-galleries", own_gallery)
    page.get_by_role("button", name="Make a token").click()
    made = page.locator("#user-token code").inner_text()
    expect(page.locator("[data-user=ben]")).to_contain_text(own_gallery)
    other = open_page(address=page.url.partition("/#")[0])
    other.fill("#token", made)
    other.keyboard.press("Enter")
    expect(other.locator("#session")).to_have_text("ben (operator): sign out")
    expect(other.get_by_role("button", name="Admin", exact=True)).to_be_hidden()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Take back the token of ben").click()
    expect(page.locator("[data-user=ben]")).to_have_count(0)
    other.reload()
    expect(other.locator("#sign-in")).to_be_visible()
    expect(page.locator("#log tbody tr").first).to_be_visible()
    page.select_option("#log-gallery", own_gallery)
    expect(page.locator("#log tbody tr").first).to_contain_text(own_gallery)
    told = [e["details"]["what"] for e in store.entries() if e["action"] == "users"][-2:]
    assert told == ["add user", "remove user"]
