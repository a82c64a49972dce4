"""Go the way of docs/walk.md, in a shell and on the page, and keep its images: synthetic people, a real browser.

Needs Chromium. Runs every command of the page in order in an empty folder; at ``unveil serve`` it does on the page what
the walk says, and ends the server:

    python scripts/desk_pictures.py
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright
from screenshots import save

ROOT = Path(__file__).resolve().parents[1]
WALK, PICTURES = ROOT / "docs" / "walk.md", ROOT / "docs" / "images"
SIZE = {"width": 1180, "height": 860}
LOOKS = ("upper-colour=blue", "sleeves=short")
CASE, REASON, NOTE = "Stolen bicycle", "stolen bicycle, report 118", "with the bicycle"
PATIENCE = 90_000  # milliseconds that the page may take for anything


def main() -> None:
    """Run the script."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--out", type=Path, default=PICTURES)
    asked.add_argument("--work", type=Path, help="folder to go the way in, kept afterwards; films that are there stay")
    options = asked.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="unveil-"))
    try:
        go(work, options.out)
    finally:
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)


def commands(page: Path = WALK, heading: str = "") -> list[str]:
    """Return the commands of a page, or of what follows one of its headings, in order."""
    text = page.read_text(encoding="utf-8")
    if heading:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    text = "".join(blocks).replace("\\\n", " ")
    return [line[2:] for line in text.splitlines() if line.startswith("$ unveil ")]


def go(work: Path, out: Path, *, seconds: float | None = None, looks: Sequence[str] = LOOKS) -> dict[str, str]:
    """Go the whole way; return what each command printed.

    Args:
        work: folder in which it is gone.
        out: folder for the images.
        seconds: length of each film, instead of the walk's own.
        looks: attributes that are asked for on the page.
    """
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    printed = {}
    for command in commands():
        words = shlex.split(command)[1:]
        if words[:2] == ["world", "video"]:
            if (work / words[words.index("--out") + 1]).is_file():
                continue
            if seconds is not None:
                words[words.index("--seconds") + 1] = str(seconds)
        began = time.monotonic()
        if words[0] == "serve":
            serve(work, [*words, "--port", "0"], out, looks=looks)
        else:
            printed[command] = run(work, words)
        print(f"{time.monotonic() - began:6.1f} s  {command}\n{printed.get(command, '')}", flush=True)
    report(work / "bicycle.zip", out)
    return printed


def run(work: Path, words: Sequence[str]) -> str:
    """Run a command of the walk; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "unveil", "--quiet", *words], cwd=work, env=surroundings(work), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"unveil {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def surroundings(work: Path) -> dict[str, str]:
    """Return the environment of the commands: galleries are kept in the folder of the walk."""
    return {**os.environ, "UNVEIL_GALLERIES": str(work / "galleries"), "COLUMNS": "100"}


def serve(work: Path, words: Sequence[str], out: Path, *, looks: Sequence[str]) -> None:
    """Start the server, do on the page what the walk says, and end it."""
    child = subprocess.Popen(
        [sys.executable, "-m", "unveil", *words], cwd=work, env=surroundings(work), stderr=subprocess.PIPE, text=True
    )
    try:
        assert child.stderr is not None
        said = []
        for line in child.stderr:
            said.append(line)
            if found := re.search(r"serving at (http://[^/]+)/", line):
                break
        else:
            raise SystemExit(f"the server ended before it listened:\n{''.join(said)}")
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"])
            page = browser.new_context(viewport=SIZE, timezone_id="UTC").new_page()
            page.set_default_timeout(PATIENCE)
            expect.set_options(timeout=PATIENCE)
            page.goto(found[1])
            on_the_page(page, out, looks)
            browser.close()
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(60)
        if child.stderr is not None:
            child.stderr.close()


def chromium() -> str | None:
    """Return where Chromium is; ``None`` where it is not."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def on_the_page(page: Page, out: Path, looks: Sequence[str]) -> None:
    """Find somebody by looks, look at the source frame, search from there, confirm, and keep it all in a case."""
    page.locator("#wears summary").click()
    for value in looks:
        chip(page, value).click()
    page.fill("#why", REASON)
    page.click("#search")
    settle(page)
    save(page, out / "walk-worn.jpg")

    page.locator("#hits .image").first.click()
    page.locator("#detail .whole img").wait_for()
    settle(page)
    save(page, out / "walk-source-frame.jpg")

    page.get_by_role("button", name="Search from this").click()
    page.locator("#facts").filter(has_text="compared").wait_for()
    for value in looks:  # whoever changed clothes is to be found too
        chip(page, value).click()
    page.locator("#wears summary").click()
    page.click("#search")
    page.locator("#facts").filter(has_text="compared").wait_for()
    settle(page)
    hits = page.locator("#hits .hit")
    for number in range(min(3, hits.count())):
        hits.nth(number).locator(".yes").click()
    page.select_option("#sighted", "confirmed")
    settle(page)
    page.evaluate("scrollTo(0, 0)")
    save(page, out / "walk-search.jpg")

    page.locator("nav [data-view=cases]").click()
    page.fill("#case-name", CASE)
    page.keyboard.press("Enter")
    page.locator("textarea").first.fill("Black frame, no bell. Taken by the east gate between 8:00 and 8:20.")
    page.locator(".shared button").nth(1).click()
    page.locator("nav [data-view=search]").click()
    page.once("dialog", lambda dialog: dialog.accept("the person at the rack"))
    page.click("#keep-search")
    page.locator("#say").filter(has_text="kept").wait_for(state="attached")
    kept = min(3, hits.count())
    for number in range(kept):
        hits.nth(number).locator(".keep").click()
        expect(hits.nth(number).locator(".keep")).to_have_attribute("aria-pressed", "true")
    page.locator("#case-bar button").first.click()
    page.locator(".bookmark").nth(kept - 1).wait_for()
    page.locator(".bookmark textarea").first.fill(NOTE)
    page.locator(".bookmark .shared button").first.click()
    settle(page)
    save(page, out / "walk-case.jpg")


def chip(page: Page, value: str) -> Locator:
    """Return what is pressed to ask for an attribute."""
    return page.locator("#wears label", has=page.locator(f"input[value='{value}']"))


def settle(page: Page) -> None:
    """Wait until everything that was asked for is shown."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(400)


def report(package: Path, out: Path) -> None:
    """Keep what the report of a case package looks like, opened from the archive alone."""
    with tempfile.TemporaryDirectory(prefix="unveil-") as folder, zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"])
            page = browser.new_context(viewport=SIZE, timezone_id="UTC").new_page()
            page.goto((Path(folder) / "report.html").as_uri())
            settle(page)
            save(page, out / "walk-report.jpg")
            browser.close()


if __name__ == "__main__":
    main()
