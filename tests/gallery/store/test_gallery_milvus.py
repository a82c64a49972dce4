"""First-stage search on a real Milvus server: the standalone one inside the package `milvus`, in its own process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from stored import SPACE, crops, embedding

from unveil.attributes.records import Attribute, Attributes
from unveil.errors import UnveilError
from unveil.gallery.records import Filter, first_stage_vectors
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.postgresql.store import PostgresStore
from unveil.gallery.store.protocol import Store

milvus = pytest.importorskip("milvus", reason="the package milvus (a server) is not installed or not for this system")
pytest.importorskip("pymilvus", reason="the extra milvus is not installed")


@pytest.fixture(scope="module")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    server = milvus.MilvusServer(milvus.MilvusServerConfig(), data_dir=str(tmp_path_factory.mktemp("milvus")))
    try:
        server.start()
    except (OSError, RuntimeError, TimeoutError) as e:
        pytest.skip(f"the Milvus server does not start here: {e}")
    yield server
    server.stop()
    server.cleanup()


@pytest.fixture
def far(milvus_server, address) -> Iterator[Store]:
    """A store with first-stage search on Milvus."""
    store = open_store(f"{address}+milvus=http://127.0.0.1:{milvus_server.listen_port}")
    yield store
    store.close()


ITEMS = [
    dataclasses.replace(
        item,
        person=[None, "p1", "p ü\"'\\"][n % 3],
        tags=[(), ("hat",), ("bag", "hat")][n % 3],
        visible=[None, 0.3, 0.5][n % 3],
        time=None if n % 5 == 0 else item.time,
        kind="tracklet" if n % 10 == 8 else "crop",
        end=item.time + 10_000 if n % 10 == 8 else None,
        tracklet="t" if n % 4 == 0 and n % 10 != 8 else None,
        attributes=[None, Attributes(bag=Attribute({"yes": 0.9}, 0.8)), Attributes(bag=Attribute({"no": 0.9}, 0.8))][
            n % 3
        ],
    )
    for n, item in enumerate(crops(range(80)))
]
FILTERS = [
    Filter(),
    Filter(cameras=("c1",)),
    Filter(start=1.7e9 + 36_000, end=1.7e9 + 180_000),  # the eighth row began before
    Filter(tags=("hat", "bag")),
    Filter(persons=("p ü\"'\\",)),
    Filter(min_visible=0.5, rows="tracklet"),
    Filter(rows="crop", sources=("",)),
    Filter(cameras=("nowhere",)),
    Filter(attributes=("bag=yes",)),
    Filter(attributes=("bag=no",), include_unseen=True, cameras=("c0", "c2")),
]


def test_the_ranking_is_that_of_postgresql(far, address):
    far.create("shop", SPACE)
    vectors = embedding(80)
    vectors.visibility[7] = 0  # shows nothing: no direction, in no ranking
    assert far.add("shop", ITEMS, embedding=vectors) == 80
    near = open_store(address)
    query = first_stage_vectors(embedding(1, seed=4))[0]
    for where in FILTERS:
        ids, distances = far.nearest("shop", query, where=where, top=len(ITEMS))
        expected, exact = near.nearest("shop", query, where=where, top=len(ITEMS))
        np.testing.assert_allclose(distances, exact, atol=1e-3)
        assert set(ids) == set(expected), where
    few = near.ids("shop", Filter())[3:9]
    assert set(far.nearest("shop", query, where=Filter(ids=tuple(few.tolist())), top=15)[0]) == set(few) - {
        near.ids("shop", Filter())[7]
    }
    assert far.verify("shop") == []
    near.close()


def test_rows_that_only_milvus_has_are_dropped_counted_and_removed(far):
    far.create("shop", SPACE)
    far.add("shop", ITEMS[:20], embedding=embedding(20))
    collection, _ = far._collection("shop")
    ghosts = [10**9 + n for n in range(12)]
    query = first_stage_vectors(embedding(1))[0]
    # What a process leaves that is killed before PostgreSQL acknowledges its rows.
    far._index.insert(collection, ITEMS[:12], ids=ghosts, vectors=np.tile(query, (12, 1)))
    ids, _ = far.nearest("shop", query, where=Filter(), top=10)
    assert len(ids) == 10 and not set(ids) & set(ghosts)
    assert far.verify("shop") == ["12 first-stage vectors too many in Milvus: expire puts it right"]
    assert far.expire("shop", 0.0) == 0
    assert far.verify("shop") == []


def test_rows_that_milvus_lost_are_counted_and_put_back(far):
    far.create("shop", SPACE)
    far.add("shop", ITEMS[:20], embedding=embedding(20))
    collection, _ = far._collection("shop")
    lost = far.ids("shop", Filter())[4:9]
    far._index.remove(collection, lost.tolist())
    assert far.verify("shop") == ["5 first-stage vectors missing or other in Milvus: expire puts it right"]
    far.expire("shop", 0.0)
    assert far.verify("shop") == []


def test_removed_rows_and_galleries_leave_milvus(far):
    far.create("shop", SPACE)
    far.add("shop", ITEMS[:20], embedding=embedding(20))
    gone = far.ids("shop", Filter(cameras=("c0",)))
    collection, _ = far._collection("shop")
    assert far.delete("shop", Filter(cameras=("c0",))) == len(gone) == 7
    assert not set(far._index.between(collection, 0, last=2**62, width=32)[0]) & set(gone)
    assert far.verify("shop") == []
    far.drop("shop")
    assert not far._index._client.has_collection(collection)


def test_a_drop_that_was_cut_short_can_be_repeated_or_undone(far, monkeypatch):
    far.create("shop", SPACE)
    far.add("shop", ITEMS[:20], embedding=embedding(20))
    collection, _ = far._collection("shop")
    for _ in range(2):
        with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
            cut.setattr(PostgresStore, "drop", killed)
            far.drop("shop")
        assert not far._index._client.has_collection(collection)
    assert far.expire("shop", 0.0) == 0
    assert far.verify("shop") == [] and far.info("shop").crops + far.info("shop").tracklets == 20
    assert far.drop("shop") == 20
    assert far.galleries() == [] and not far._index._client.has_collection(collection)


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_indexing_ends_when_the_graph_finds_all_rows(far, address):
    # Milvus searches new rows by a coarse index of its own, from some 5,000 on: 70 of the nearest 100 are found then.
    far.create("shop", SPACE)
    count = 6_000
    vectors = embedding(count)
    vectors.visibility[:] = 1
    far.add("shop", crops(range(count)), embedding=vectors)
    few = far.ids("shop", Filter())[:3]
    assert far.delete("shop", Filter(ids=tuple(few.tolist()))) == 3
    assert far.index("shop")
    near = open_store(address)
    for query in first_stage_vectors(embedding(5, seed=4)):
        ids, _ = far.nearest("shop", query, where=Filter(), top=100)
        exact, _ = near.nearest("shop", query, where=Filter(), top=100)
        assert len(set(ids) & set(exact)) >= 97
    near.close()


def test_a_milvus_that_is_down_is_one_clear_error_and_nothing_is_kept_by_half(far, address, milvus_server):
    far.create("shop", SPACE)
    far.add("shop", ITEMS[:20], embedding=embedding(20))
    far._index._seconds = 2.0
    milvus_server.server_proc.kill()  # its own `stop` gives a busy machine three seconds
    milvus_server.server_proc.wait(60)
    milvus_server.stop()
    with pytest.raises(UnveilError, match=r"Milvus server at 127\.0\.0\.1:\d+ is down"):
        far.add("shop", ITEMS[20:30], embedding=embedding(10))
    with pytest.raises(UnveilError, match="is down"):
        far.nearest("shop", first_stage_vectors(embedding(1))[0], where=Filter(), top=5)
    with pytest.raises(UnveilError, match="is down"):
        far.drop("shop")
    assert [info.name for info in far.galleries()] == ["shop"], (
        "its name in Milvus is known, so it can be dropped again"
    )
    assert far.info("shop").crops + far.info("shop").tracklets == 20 and len(far.ids("shop", Filter())) == 20
    with pytest.raises(UnveilError, match="is down"):
        open_store(f"{address}+milvus=http://127.0.0.1:{milvus_server.listen_port}")
    with psycopg.connect(address, options="-c search_path=unveil,public") as connection:
        assert connection.execute("SELECT count(*) FROM keys").fetchone() == (20,)
