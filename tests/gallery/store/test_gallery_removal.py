"""Removal is looked for in the files of the server: no byte of a removed image or vector may be in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import psycopg
import pytest
from stored import SPACE, crops, embedding, image

from unveil.errors import UnveilError
from unveil.gallery.records import Filter, Item, first_stage_vectors
from unveil.gallery.store.postgresql.items import partitions
from unveil.gallery.store.postgresql.store import PostgresStore

DATES = 1.7e9


def marks(numbers, vectors, name="shop") -> list[bytes]:
    """What is looked for: a key, the middle of an image, the first-stage vector and both vectors in half precision."""
    found = list(numbers)
    needles = [key(n, name).encode() for n in found] + [image(n)[2_000:2_040] for n in found]
    for row in (first_stage_vectors(vectors), vectors.vectors.reshape(len(vectors), -1)):
        needles += [row[n].astype(np.float16).tobytes()[:40] for n in found]
    return needles


def key(number, name) -> str:
    return f"{name} has {number}!"


def seen(folder: Path, needles: list[bytes]) -> list[bytes]:
    """Which of the needles are in any file of the server."""
    there = set()
    for path in (folder / "postgres").rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            there |= {needle for needle in needles if needle in data}
    return [needle for needle in needles if needle in there]


def keyed(numbers, name="shop", **fields) -> list[Item]:
    """Rows whose keys no other test uses."""
    return [dataclasses.replace(crops([n], **fields)[0], key=key(n, name)) for n in numbers]


def flush(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


REMOVALS = {
    "by person": Filter(persons=("p7",)),
    "by camera": Filter(cameras=("gate",)),
    "by time": Filter(start=DATES + 1e6, end=DATES + 2e6),
    "by row": None,
}


@pytest.mark.parametrize("how", REMOVALS)
def test_removed_bytes_are_nowhere_in_the_files(store, address, server_folder, how):
    vectors = embedding(60, seed=list(REMOVALS).index(how))
    items = keyed(range(60), how)
    gone, kept = [7, 8, 30], [0, 9, 59]
    for n in gone:
        items[n] = dataclasses.replace(items[n], person="p7", camera="gate", time=DATES + 1.5e6)
    store.create("shop", SPACE)
    store.add("shop", items, embedding=vectors)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("ANALYZE")  # the server does so by itself, some time
        connection.execute("CHECKPOINT")
    needles = marks(gone, vectors, how)
    assert seen(server_folder, needles) == needles  # they can be found at all
    ids = {item.key: item.id for item in store.find("shop", Filter())}
    where = REMOVALS[how] or Filter(ids=tuple(ids[key(n, how)] for n in gone))
    revision = store.info("shop").revision

    assert store.delete("shop", where) == 3

    assert seen(server_folder, needles) == []
    assert seen(server_folder, marks(kept, vectors, how)) == marks(kept, vectors, how)
    assert [item.key for item in store.find("shop", Filter())] == [key(n, how) for n in range(60) if n not in gone]
    assert store.known("shop", [key(7, how)]) == set()
    info = store.info("shop")
    assert info.crops == 57 and info.cameras == ("c0", "c1", "c2") and info.revision > revision
    assert store.verify("shop") == []
    assert store.add("shop", keyed([7], how), embedding=embedding(1)) == 1  # a removed crop may come again


def test_a_dropped_gallery_leaves_no_bytes(store, address, server_folder):
    vectors = embedding(10, seed=77)
    store.create("dropped", SPACE)
    store.add("dropped", keyed(range(10), "dropped"), embedding=vectors, job="job", done={"file": "one-to-forget.mp4"})
    store.log({"who": "ann", "action": "search", "gallery": "dropped"})
    flush(address)
    needles = [*marks(range(10), vectors, "dropped"), b"one-to-forget.mp4"]
    assert seen(server_folder, needles) == needles
    assert store.drop("dropped") == 10
    assert seen(server_folder, needles) == []
    assert [entry["action"] for entry in store.entries("dropped")] == ["search"]


def test_a_tracklet_takes_its_crops_with_it(store):
    store.create("shop", SPACE)
    items = [
        Item("t1", "tracklet", b"\xff\xd8t", time=10.0, end=12.0, crops=2),
        *crops([1, 2], tracklet="t1"),
        Item("t2", "tracklet", b"\xff\xd8t", time=10.0, end=12.0, crops=1),
        *crops([3], tracklet="t2"),
        *crops([4]),
    ]
    store.add("shop", items, embedding=embedding(6))
    first = store.find("shop", Filter())[0].id
    assert store.delete("shop", Filter(ids=(first,))) == 3
    assert [item.key for item in store.find("shop", Filter())] == ["t2", "key3", "key4"]
    assert (store.info("shop").crops, store.info("shop").tracklets) == (2, 1)
    assert store.delete("shop", Filter(cameras=("nowhere",))) == 0


def test_rows_expire_by_their_own_date_or_else_by_when_they_came(store):
    day = 86_400.0
    store.create("shop", SPACE, retention_seconds=30 * day)
    now = 1.9e9
    items = [
        Item("old", "crop", b"\xff\xd8", time=now - 31 * day),
        Item("new", "crop", b"\xff\xd8", time=now - 29 * day),
        Item("lasting", "tracklet", b"\xff\xd8", time=now - 31 * day, end=now - 29 * day),
        Item("recording", "crop", b"\xff\xd8", time=12.5),  # seconds since a recording began, not 1970
        Item("undated", "crop", b"\xff\xd8"),
    ]
    store.add("shop", items, embedding=embedding(5))
    added = store.info("shop").created
    assert store.expire("shop", now) == (1 if now - added < 30 * day else 3)
    assert store.expire("shop", max(now, added) + 31 * day) == 4 - (0 if now - added < 30 * day else 2)
    store.set_retention("shop", None)
    store.add("shop", items[:1], embedding=embedding(1))
    assert store.expire("shop", now * 2) == 0 and store.info("shop").crops == 1
    with pytest.raises(UnveilError, match="more than 0 seconds"):
        store.set_retention("shop", -1.0)


def test_a_removal_that_was_cut_short_is_finished_by_the_next(store, address, server_folder, monkeypatch):
    vectors = embedding(6, seed=5)
    store.create("shop", SPACE)
    store.add("shop", keyed(range(6), "cut"), embedding=vectors)
    with monkeypatch.context() as cut:
        cut.setattr(partitions, "purge", lambda *_: None)  # as if killed after the transaction
        assert store.delete("shop", Filter(cameras=("c0",))) == 2
    flush(address)
    assert seen(server_folder, marks([0, 3], vectors, "cut")) != []
    assert any("bytes of removed rows" in sentence for sentence in store.verify("shop"))
    assert store.expire("shop", 0.0) == 0
    assert seen(server_folder, marks([0, 3], vectors, "cut")) == []
    assert store.verify("shop") == []


def test_a_removal_while_another_rewrites_the_same_period_is_not_forgotten(store, address, server_folder, monkeypatch):
    vectors = embedding(6, seed=6)
    store.create("shop", SPACE)
    store.add("shop", keyed(range(6), "two"), embedding=vectors)
    whole_purge, forget_log = partitions.purge, partitions.forget_log
    other = PostgresStore(lambda: address)

    def removal_elsewhere(cursor):
        """Remove rows after the tables were rewritten, by a process that is killed before it rewrites them."""
        monkeypatch.setattr(partitions, "forget_log", forget_log)
        monkeypatch.setattr(partitions, "purge", lambda *_: None)
        assert other.delete("shop", Filter(cameras=("c1",))) == 2
        monkeypatch.setattr(partitions, "purge", whole_purge)
        forget_log(cursor)

    monkeypatch.setattr(partitions, "forget_log", removal_elsewhere)
    assert store.delete("shop", Filter(cameras=("c0",))) == 2
    flush(address)
    assert seen(server_folder, marks([1, 4], vectors, "two")) != []
    assert any("bytes of removed rows" in sentence for sentence in store.verify("shop"))
    assert store.expire("shop", 0.0) == 0
    assert seen(server_folder, marks([0, 1, 3, 4], vectors, "two")) == []
    assert store.verify("shop") == []
    other.close()


def test_a_reader_elsewhere_that_still_sees_the_rows_is_named(address, server_folder):
    store = PostgresStore(lambda: address, seconds=1.0)
    store.create("shop", SPACE)
    store.add("shop", keyed(range(6), "read"), embedding=embedding(6, seed=8))
    with psycopg.connect(address) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1 FROM pg_class").fetchone()
        with pytest.raises(UnveilError, match=r"removed.*another.*still"):
            store.delete("shop", Filter(cameras=("c0",)))
        assert store.info("shop").crops == 4
    store.expire("shop", 0.0)
    flush(address)
    assert seen(server_folder, marks([0, 3], embedding(6, seed=8), "read")) == []
    assert store.verify("shop") == []
    store.close()


@pytest.mark.parametrize(
    ("kept", "dropped"),
    [(True, False), (False, False), (True, True)],
    ids=["others stay", "the last rows", "a gallery is dropped"],
)
def test_the_name_of_a_camera_goes_with_its_last_row(store, address, server_folder, kept, dropped):
    name = f"camera of {'some' if kept else 'no'} others, dropped: {dropped}"
    store.create("shop", SPACE)
    if kept:
        store.add("shop", keyed(range(400), "cam"), embedding=embedding(400))
    store.add("shop", keyed(range(400, 800), "cam", camera=name), embedding=embedding(400))
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("ANALYZE")
        connection.execute("CHECKPOINT")
        held = "SELECT count(*) FROM pg_stats WHERE schemaname = 'unveil' AND most_common_vals::text LIKE %s"
        assert connection.execute(held, (f"%{name}%",)).fetchone() != (0,)
    assert seen(server_folder, [name.encode()])
    if dropped:
        store.drop("shop")
    else:
        assert store.delete("shop", Filter(cameras=(name,))) == 400
    assert seen(server_folder, [name.encode()]) == []
    with psycopg.connect(address, autocommit=True) as connection:
        assert connection.execute(held, (f"%{name}%",)).fetchone() == (0,)
        # What is left is still known to the planner.
        found = connection.execute(held, ("%c1%",)).fetchone()
        assert found is not None and bool(found[0]) == (kept and not dropped)
