"""Whoever looks at rows without a search is in the audit log: when he begins, and with counts when he ends."""

import pytest
from fastapi.testclient import TestClient

from callers import LOOPBACK
from unveil.errors import UnveilError
from unveil.server.access.tokens import Caller
from unveil.server.access.viewing import IDLE_SECONDS, MAX_ROWS, Views
from unveil.server.app import create_app

ANNA, BEN = Caller("anna", "reader"), Caller("ben", "admin")


class Log:
    """A log of entries, and a clock that only moves when it is told to."""

    def __init__(self):
        self.now, self.entries, self.full = 0.0, [], False

    def append(self, entry):
        if self.full:
            raise UnveilError("the disk is full")
        self.entries.append(entry)
        return f"hash {len(self.entries)}"

    def details(self, who):
        return [entry["details"] for entry in self.entries if entry["who"] == who]


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def views(log):
    return Views(log.append, clock=lambda: log.now)


def test_one_entry_before_the_first_look_and_one_with_counts_after_the_last(log, views):
    for row in (4, 5, 4):
        views.seen(ANNA, "shop", what="thumbnails", rows=[row])
        log.now += 10
    views.seen(ANNA, "shop", what="listings", rows=[7, 8])
    views.seen(BEN, "shop", what="rows", rows=[4])
    assert log.details("anna") == [{"state": "begun"}] == log.details("ben")
    views.tidy()
    assert len(log.entries) == 2, "they may continue"
    log.now += IDLE_SECONDS + 1
    views.tidy()
    ended = {"thumbnails": 3, "listings": 1, "state": "done", "begun": "hash 1", "seconds": 30}
    assert log.details("anna") == [{"state": "begun"}, ended]
    assert next(entry["results"] for entry in log.entries[2:] if entry["who"] == "anna") == [4, 5, 7, 8]
    views.close()
    assert len(log.entries) == 4
    views.seen(ANNA, "shop", what="rows", rows=[4])
    assert log.details("anna")[2:] == [{"state": "begun"}]


def test_nothing_is_shown_that_cannot_be_entered(log, views):
    log.full = True
    for _ in range(2):
        with pytest.raises(UnveilError, match="full"):
            views.seen(ANNA, "shop", what="thumbnails", rows=[1])
    log.full = False
    views.seen(ANNA, "shop", what="thumbnails", rows=[1])
    log.full = True
    with pytest.raises(UnveilError, match="full"):
        views.close()
    log.full = False
    views.close()
    assert [detail["state"] for detail in log.details("anna")] == ["begun", "done"]


def test_an_entry_stays_small_however_much_is_looked_at(log, views):
    for first in range(0, 5 * MAX_ROWS, 200):
        views.seen(ANNA, "shop", what="listings", rows=range(first, first + 200))
    views.close()
    shown = [entry["results"] for entry in log.entries]
    assert max(map(len, shown)) <= MAX_ROWS
    assert sorted(row for rows in shown for row in rows) == list(range(5 * MAX_ROWS))


def test_thumbnails_and_listings_on_a_server_are_entered(service_with, own_gallery, store):
    service = service_with()
    client = TestClient(create_app(service), base_url=LOOPBACK)
    url = f"/api/v1/galleries/{own_gallery}/items"
    rows = [row["id"] for row in client.get(url, params={"limit": 3}).json()["items"]]
    for row in rows[:2]:
        assert client.get(f"{url}/{row}/thumbnail").status_code == 200
    assert [entry["details"]["state"] for entry in store.entries(own_gallery)] == ["begun"]
    service.close()
    begun, ended = store.entries(own_gallery)
    assert (begun["action"], ended["results"]) == ("view", rows)
    assert {"listings": 1, "thumbnails": 2}.items() <= ended["details"].items()
