"""Alerts over HTTP: listed, shown, and removed by whoever may."""

import pytest
from fastapi.testclient import TestClient

from callers import LOOPBACK, encoded, person
from unveil.gallery.alert_records import Alert
from unveil.server.app import create_app

IMAGES = [encoded(person(n), "JPEG") for n in range(3)]
FIRST = Alert("a coat", "h" * 16, 0.1, 0.2, None, "gate", "film.mp4", 12.5, 120, (1, 2, 30, 40), IMAGES[0])
SURE = Alert("a coat", "h" * 16, 0.05, 0.3, 0.9, None, "rtsp://gate/1", 1.7e9, 7, (5, 6, 70, 80), IMAGES[1])


@pytest.fixture
def alerts(store, own_gallery):
    """A gallery, and the numbers of its two alerts."""
    numbers = [store.alerts.add(own_gallery, one) for one in (FIRST, SURE)]
    return own_gallery, numbers


def told(number, alert):
    names = ("entry", "distance", "threshold", "probability", "camera", "source", "time", "frame")
    return {"id": number, "box": list(alert.box), **{name: getattr(alert, name) for name in names}}


def test_alerts_are_listed_newest_first_and_shown_by_number(service_with, alerts):
    gallery, (first, second) = alerts
    client = TestClient(create_app(service_with()), base_url=LOOPBACK)
    url = f"/api/v1/galleries/{gallery}/alerts"
    listed = client.get(url).json()
    assert all(one.pop("raised") > 1.7e9 for one in listed)
    assert listed == [told(second, SURE), told(first, FIRST)]
    assert [one["id"] for one in client.get(f"{url}?after={first}").json()] == [second]
    assert [one["id"] for one in client.get(f"{url}?limit=1").json()] == [second]
    for number, image in ((first, IMAGES[0]), (second, IMAGES[1])):
        shown = client.get(f"{url}/{number}/image")
        assert shown.content == image and shown.headers["content-type"] == "image/jpeg"
    missing = client.get(f"{url}/{second + 1}/image")
    assert missing.status_code == 404 and f"no alert {second + 1} in gallery" in missing.json()["error"]
    for wrong in (f"{url}?limit=0", f"{url}?limit=501", f"{url}?after=-1"):
        assert client.get(wrong).status_code == 422, wrong


def test_only_an_administrator_removes_alerts_and_the_audit_log_says_how_many(callers, store, alerts):
    gallery, _ = alerts
    url = f"/api/v1/galleries/{gallery}/alerts"
    for role in ("reader", "operator"):
        assert callers.client(role).delete(url).status_code == 403, role
    assert len(callers.client("reader").get(url).json()) == 2
    assert callers.client("admin").delete(url).json() == {"deleted": 2}
    assert callers.client("admin").get(url).json() == []
    entry = list(store.entries(gallery))[-1]
    assert entry["action"] == "delete" and {"alerts": "all", "deleted": 2}.items() <= entry["details"].items()
