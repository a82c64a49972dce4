"""Alerts that go with the rows of the people whom they show, and those that stay."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import psycopg
import pytest
from stored import SPACE, crops, embedding, image

from unveil.gallery.alert_records import Alert
from unveil.gallery.case_records import NewQuery
from unveil.gallery.records import Filter

ALERT = Alert("a coat", "h" * 16, 0.1, 0.2, None, "gate", "film.mp4", 12.0, 120, (1, 2, 3, 4), b"")


def alert(number: int, **changes) -> Alert:
    return dataclasses.replace(ALERT, image=image(number), **changes)


@pytest.fixture
def shop(store):
    """A tracklet of a film with two crops, one of a stream, and a crop by itself."""
    store.create("shop", SPACE)
    film, live = {"source": "film.mp4", "time": None}, {"source": "rtsp://gate", "time": 1.7e9}
    [whole, first, last] = crops((1, 2, 3), **film)
    [stream, alone] = [crops((4,), **live)[0], crops((5,), source="else.mp4", time=12.0)[0]]
    rows = [
        dataclasses.replace(whole, kind="tracklet", time=10.0, end=14.0, frame=110),
        dataclasses.replace(first, tracklet=whole.key, time=10.0, frame=100),
        dataclasses.replace(last, tracklet=whole.key, time=14.0, frame=140),
        dataclasses.replace(stream, kind="tracklet", end=1.7e9 + 20),
        alone,
    ]
    store.add("shop", rows, embedding=embedding(5))
    return {item.key: item.id for item in store.find("shop", Filter())}


def kept(store) -> set[int]:
    return {found.id for found in store.alerts.newest("shop")}


def test_alerts_within_a_removed_sighting_go_with_it(store, shop):
    within = [
        store.alerts.add("shop", alert(10)), store.alerts.add("shop", alert(11, time=14.9, frame=999)),
        store.alerts.add("shop", alert(12, time=500.0, frame=105)),  # the film was added with the time when it began
    ]  # fmt: skip
    others = [
        store.alerts.add("shop", alert(13, time=30.0, frame=300)),
        store.alerts.add("shop", alert(14, source="else.mp4", time=30.0, frame=120)),
        store.alerts.add("shop", alert(15, source="rtsp://gate", time=1.7e9 + 10)),
        store.alerts.add("shop", alert(16, source="rtsp://gate", time=1.7e9 + 3_600, frame=120)),
    ]
    store.delete("shop", Filter(ids=(shop["key5"],)))
    assert kept(store) == {*within, *others}
    store.delete("shop", Filter(ids=(shop["key2"],)))  # a crop takes its tracklet with it
    assert kept(store) == set(others)
    store.delete("shop", Filter(ids=(shop["key4"],)))
    assert kept(store) == {others[0], others[1], others[3]}


def test_alerts_of_a_search_that_named_a_removed_row_go_with_it(store, shop):
    case = store.cases.create("list", "ann").id
    for hash, rows in (("a" * 16, (shop["key4"],)), ("b" * 16, (shop["key5"],))):
        query = NewQuery(hash, {}, hash, positives=rows)
        store.cases.add_query(case, "shop", query=query, who="ann")
    store.alerts.add("shop", alert(20, query="a" * 16, source="yard.mp4"))
    stays = store.alerts.add("shop", alert(21, query="b" * 16, source="yard.mp4"))
    store.delete("shop", Filter(ids=(shop["key4"],)))
    assert kept(store) == {stays}


def test_no_byte_of_a_removed_alert_is_left(store, shop, address, server_folder: Path):
    store.alerts.add("shop", alert(30))
    needle = image(30)[1000:1060]
    files = [path for path in (server_folder / "postgres").rglob("*") if path.is_file()]
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        assert any(needle in path.read_bytes() for path in files)
        store.delete("shop", Filter(ids=(shop["key1"],)))
        connection.execute("CHECKPOINT")
    left = [path for path in (server_folder / "postgres").rglob("*") if path.is_file()]
    assert not any(needle in path.read_bytes() for path in left)
