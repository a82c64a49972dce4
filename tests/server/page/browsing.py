"""The page in a real browser: what opens it, and what tests do on it again and again."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path

import pytest

from callers import encoded

playwright = pytest.importorskip("playwright.sync_api", reason="the extra test is not installed")
pytest.importorskip("axe_playwright_python", reason="the extra test is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
expect = playwright.expect
expect.set_options(timeout=30_000)
CONTRAST, NAMES = (Path(__file__).with_name(name).read_text() for name in ("contrast.js", "names.js"))
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, live):
    """Return what opens the page of a new server; whatever it complains of in the console fails the test."""
    contexts, complaints = [], []

    def start(viewport=DESK, scheme="light", touch=False, address=None, zone=None, path="", **settings):
        address = address or live(**settings)
        context = browser.new_context(
            viewport=viewport, color_scheme=scheme, has_touch=touch, is_mobile=touch, timezone_id=zone
        )
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        outside = [
            lambda request: request.url.startswith((address, "blob:", "data:")) or complaints.append(request.url)
        ]
        page.on("request", outside[0])
        page.goto(address + path)
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


def wrong_for_axe(page) -> list[str]:
    """Return what axe-core finds against WCAG 2.1 A and AA on a page: rule, and the first element that breaks it."""
    page.evaluate(AXE)
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [f"{rule['id']}: {node['html'][:120]} {node['any'][:1]}" for rule in found for node in rule["nodes"][:3]]


def choose(page, pixels, name="someone.png"):
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": encoded(pixels)})
    expect(page.locator("#hint")).to_have_text(re.compile("found|whole image|No person"), timeout=30_000)


def results(page):
    """Return person labels of the results in order, from the store's own keys on the cards."""
    expect(page.locator("#answer")).to_be_visible()
    return page.locator("#hits .hit").evaluate_all("cards => cards.map(c => Number(c.dataset.item))")


def no_overflow(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def tab_to(page, selector, most=80):
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"{selector} cannot be reached by Tab")
