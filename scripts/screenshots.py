"""Make the images of docs/gallery.md: synthetic people only, the real server and a real browser.

Needs Chromium. Renders videos of three cameras of a world, ingests them and the world's crops, and searches for
somebody on a frame of a fourth video:

    python scripts/screenshots.py --detector yolox_nano.json
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import shutil
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from unveil.cli.sources import crops_of
from unveil.gallery.ingest.images import add_images
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.protocol import Store
from unveil.inference.load import load_engine
from unveil.pretrained import DEFAULT_MODEL
from unveil.server.app import create_app
from unveil.server.run import listen, server_of
from unveil.server.service import Service
from unveil.server.settings import Settings
from unveil.video.decode import Video
from unveil.video.detectors.detect import load_detector
from unveil.video.detectors.precomputed import GivenBoxes
from unveil.world.dataset import plan_of
from unveil.world.scenes.scene import FRAME
from unveil.world.video import save_video

NAME = "station"
CAMERAS = (1, 3, 5)
QUERY = 7
DAY = 86_400.0
MORNING = 1_772_438_400.0  # 2026-03-02 08:00 UTC
DESK, PHONE = {"width": 1280, "height": 980}, {"width": 390, "height": 844}
LIMIT = 150_000


def main() -> None:
    """Run the script."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--model", default=DEFAULT_MODEL, help="a model file or the folder of a run")
    asked.add_argument("--detector", type=Path, help="card of an ONNX detector")
    asked.add_argument("--world", default="small", help="world whose people are shown")
    asked.add_argument("--seconds", type=float, default=8.0, help="length of each video")
    asked.add_argument("--work", type=Path, help="folder to keep videos and gallery in")
    asked.add_argument("--out", type=Path, default=Path("docs/pictures"))
    options = asked.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    work = options.work or Path(tempfile.mkdtemp(prefix="unveil-"))
    films = {camera: film(options.world, camera, options.seconds, work) for camera in (*CAMERAS, QUERY)}
    store = open_store(None, work / "store")
    engine = load_engine(options.model)
    fill(store, engine, films, options.world)
    service = Service(store, engine, detector=load_detector(options.detector), settings=Settings(galleries=(NAME,)))
    listener = listen("127.0.0.1", 0)
    server = server_of(create_app(service))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        show(f"http://127.0.0.1:{listener.getsockname()[1]}", query_frame(films[QUERY]), options.out)
    finally:
        server.should_exit = True
        thread.join(20)
        store.close()
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)


def film(world: str, camera: int, seconds: float, work: Path) -> Path:
    """Render a video of a camera, unless that was done."""
    path = work / f"camera{camera}.mp4"
    if not path.exists():
        save_video(plan_of(Path(world)), path, camera=camera, seconds=seconds)
    return path


def fill(store: Store, engine: object, films: dict[int, Path], world: str) -> None:
    """Ingest the videos, by the boxes that come with them, and the crops of the world."""
    for number, camera in enumerate(CAMERAS):
        settings = VideoSettings(camera=f"c{camera:02d}", start_time=MORNING + 240 * number)
        boxes = GivenBoxes(films[camera].with_suffix(".csv"))
        print(add_video(store, NAME, engine=engine, source=films[camera], detector=boxes, settings=settings))  # type: ignore[arg-type]
    samples = [
        dataclasses.replace(sample, time=None if sample.time is None else MORNING + 20 * (sample.time % DAY))
        for sample in crops_of(f"world:{world}").samples
        if sample.split != "query"
    ]
    print(add_images(store, NAME, engine=engine, samples=samples, source=world))  # type: ignore[arg-type]


def query_frame(path: Path) -> bytes:
    """Return the frame on which most of somebody can be seen, as JPEG."""
    rows = list(csv.DictReader(path.with_suffix(".csv").open()))
    inside = [row for row in rows if 20 < float(row["x"]) < FRAME[0] - float(row["width"]) - 20]
    best = max(inside or rows, key=lambda row: float(row["visible"]) * float(row["height"]))
    with Video(path) as video:
        for frame in video.frames():
            if frame.number == int(best["frame"]):
                buffer = io.BytesIO()
                Image.fromarray(frame.image).save(buffer, "JPEG", quality=92)
                return buffer.getvalue()
    raise SystemExit(f"{path} has no frame {best['frame']}")


def show(address: str, frame: bytes, out: Path) -> None:
    """Search on the page, at a desk and on a phone, by day and by night, and keep what is seen."""
    with sync_playwright() as p:
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme, size in (("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE)):
            phone = size is PHONE
            context = browser.new_context(
                viewport=size, color_scheme=scheme, has_touch=phone, is_mobile=phone,
                device_scale_factor=2 if phone else 1, timezone_id="UTC",
            )  # fmt: skip
            page = context.new_page()
            page.set_default_timeout(120_000)
            page.goto(address)
            search(page, frame)
            name = f"gallery-{'phone-' if phone else ''}{scheme}"
            if scheme == "dark":
                page.locator(".hit .image").first.click()
                page.locator("#detail").get_by_role("button", name="Heat map").click()
                page.locator("#detail .heat").wait_for()
            elif not phone:
                page.mouse.move(1260, 500)
            page.wait_for_timeout(500)
            save(page, out / f"{name}.jpg")
            context.close()
        browser.close()


def search(page: Page, frame: bytes) -> None:
    """Search for the surest person on a frame."""
    page.locator("#gallery option").first.wait_for(state="attached")
    page.set_input_files("#file", {"name": "frame.jpg", "mimeType": "image/jpeg", "buffer": frame})
    page.locator("#hint").filter(has_text="found").or_(page.locator("#hint").filter(has_text="whole")).wait_for()
    page.locator("#why").fill("lost child, report 118")
    page.locator("#search").click()
    page.locator("#hits li").first.wait_for()
    page.wait_for_load_state("networkidle")


def save(page: Page, path: Path) -> None:
    """Write a JPEG that is small enough for the repository."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for quality in range(88, 30, -4):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() < LIMIT:
            break
    path.write_bytes(buffer.getvalue())
    print(f"{path}: {image.width} x {image.height}, {buffer.tell():,} bytes")


if __name__ == "__main__":
    main()
