"""What tests of the server share: images of people, callers with tokens, and the two requests they all make."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra server is not installed")
pytest.importorskip("httpx2", reason="the extra test is not installed")

from fastapi.testclient import TestClient

from generated import figure
from unveil.gallery.grouping.group import group_gallery
from unveil.gallery.records import Filter
from unveil.gallery.store.protocol import Store
from unveil.server.access.tokens import new_token
from unveil.server.app import create_app
from unveil.server.service import Service
from unveil.server.settings import Limits

PEOPLE, CAMERAS, SHOTS = 8, 3, 2
BEGIN = 1_700_000_000.0
LOOPBACK = "http://127.0.0.1"
FREE = Limits(rate=0, refused=0)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def person(number: int, camera: int = 0, shot: int = 9) -> np.ndarray:
    """An image of a person that no gallery has: another shot."""
    return figure(number, camera, shot, 128, 64)


@cache
def rendered_person() -> np.ndarray:
    """A crop of the synthetic world, which a human parser takes for a person; `person` it may not."""
    from unveil.world.config import preset
    from unveil.world.video import render_frames

    for image, people in render_frames(preset("tiny"), 1, frames=3):
        for _, x, y, w, h, seen in people:
            if float(seen) > 0.95 and h > 120:
                return image[y : y + h, x : x + w].copy()
    raise AssertionError("nobody is wholly in sight")


def frame(*numbers: int) -> tuple[np.ndarray, list[dict[str, int]]]:
    """A wide image with people side by side, and their boxes."""
    wide = np.full((240, 400, 3), 128, np.uint8)
    boxes = []
    for place, number in enumerate(numbers):
        x = 30 + 120 * place
        wide[60:188, x : x + 64] = person(number)
        boxes.append({"x": x, "y": 60, "width": 64, "height": 128})
    return wide, boxes


def drawn_plan(width: int = 300, height: int = 200) -> np.ndarray:
    """A floor plan: two walls on paper."""
    plan = np.full((height, width, 3), 245, np.uint8)
    plan[height // 4 : height // 4 + 4] = plan[:, width // 3 : width // 3 + 4] = 60
    return plan


class Callers:
    """Clients of one server that asks for tokens, by role."""

    def __init__(self, folder: Path, service_with: Callable[..., Service], **settings) -> None:
        self.file = folder / "tokens.json"
        self.tokens = {role: new_token(self.file, f"the-{role}", role=role) for role in ("reader", "operator", "admin")}
        self.app = create_app(service_with(tokens=self.file, **settings))

    def client(self, role: str | None = None, token: str | None = None) -> TestClient:
        token = self.tokens[role] if role else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return TestClient(self.app, base_url="http://unveil.example", headers=headers)


def send(client, pixels: np.ndarray) -> str:
    """Send an image; return its name."""
    answer = client.post("/api/v1/images", content=encoded(pixels))
    assert answer.status_code == 201, answer.text
    return answer.json()["image"]


def search(client, gallery: str, *positives, **more):
    """Search with pieces (names of images, or dicts); return the answer as JSON."""
    pieces = [{"image": p} if isinstance(p, str) else p for p in positives]
    answer = client.post(f"/api/v1/galleries/{gallery}/searches", json={"positives": pieces, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def group_people(store: Store, gallery: str) -> None:
    """Group a gallery of the server's tests into its people: what is near, and, across brightness, confirmed."""
    for item in store.find(gallery, Filter()):
        store.feedback.give(gallery, f"{item.person:0>16}", item=item.id or 0, same=True, who="ann")
    group_gallery(store, gallery, threshold=0.25)
