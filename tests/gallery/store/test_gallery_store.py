from __future__ import annotations

import dataclasses

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import SPACE, crops, embedding

from unveil.errors import DataError
from unveil.gallery.records import Filter, Item, first_stage_vectors
from unveil.gallery.store.opening import open_store


def filled(store, n=60):
    store.create("shop", SPACE)
    items = [dataclasses.replace(item, tags=("hat",) if i % 4 == 0 else ()) for i, item in enumerate(crops(range(n)))]
    assert store.add("shop", items, embedding=embedding(n)) == n
    return items


def test_what_goes_in_comes_out(store):
    store.create("shop", SPACE)
    items = [
        Item("a", "crop", b"\xff\xd8a", "in.jpg", "c1", 1.7e9, None, "p1", "t", 5, (1, 2, 3, 4), ("x", "ü"), 0.5, 0.25),
        Item("t", "tracklet", b"\xff\xd8t", "v.mp4", None, 12.5, 14.0, tracklet=None, crops=7),
        Item("b", "crop", b"\xff\xd8b"),
    ]
    vectors = embedding(3)
    assert store.add("shop", items, embedding=vectors) == 3
    ids = store.ids("shop", Filter())
    assert [dataclasses.replace(item, id=None) for item in store.items("shop", ids)] == items
    assert [i.id for i in store.items("shop", [ids[2], 999_999, ids[0]])] == [ids[2], ids[0]]
    found, stored = store.embeddings("shop", [ids[2], 999_999, ids[0]])
    assert found.tolist() == [ids[2], ids[0]]
    np.testing.assert_allclose(stored.vectors, vectors.vectors[[2, 0]], rtol=5e-4, atol=1e-6)
    np.testing.assert_array_equal(stored.visibility, vectors.visibility[[2, 0]])
    assert (stored.names, stored.metric, stored.weights) == (vectors.names, vectors.metric, vectors.weights)
    info = store.info("shop")
    assert (info.crops, info.tracklets, info.cameras, info.start, info.end) == (2, 1, ("c1",), 12.5, 1.7e9)
    assert store.verify("shop") == []


def test_a_key_is_kept_once(store):
    items = filled(store, 10)
    before = store.info("shop")
    again = [*crops(range(5, 12)), *crops([11])]
    assert store.add("shop", again, embedding=embedding(8, seed=1)) == 2
    assert store.known("shop", ["key3", "key11", "key12"]) == {"key3", "key11"}
    info = store.info("shop")
    assert info.crops == 12 and info.revision > before.revision
    _, vectors = store.embeddings("shop", store.ids("shop", Filter())[5:6])
    np.testing.assert_allclose(vectors.vectors, embedding(10).vectors[5:6], rtol=5e-4, atol=1e-6)
    assert store.find("shop", Filter())[5].key == items[5].key


def allowed(item: Item, where: Filter) -> bool:
    """What a filter means, said in another way than in SQL."""
    end = item.time if item.end is None else item.end
    return all(
        (
            not where.cameras or item.camera in where.cameras,
            where.start is None or (end is not None and end >= where.start),
            where.end is None or (item.time is not None and item.time <= where.end),
            set(where.tags) <= set(item.tags),
            not where.sources or item.source in where.sources,
            not where.persons or item.person in where.persons,
            where.min_visible is None or (item.visible is not None and item.visible >= where.min_visible),
            where.rows is None or (item.kind == "crop" if where.rows == "crop" else True),
            where.rows != "tracklet" or item.kind == "tracklet" or item.tracklet is None,
        )
    )


DAY = 86_400.0
times = st.sampled_from([None, 0.0, 5.0, -3.0, 40 * DAY, 20_000 * DAY, 20_029.9 * DAY, 20_031 * DAY, 1e13])
filters = st.builds(
    Filter,
    cameras=st.sampled_from([(), ("a",), ("a", "b"), ("z",)]),
    start=st.sampled_from([None, None, -10.0, 4.0, 20_000 * DAY, 20_030 * DAY]),
    end=st.sampled_from([None, None, 20_031 * DAY, 1e14]),
    tags=st.sampled_from([(), ("hat",), ("hat", "bag")]),
    sources=st.sampled_from([(), ("s1",)]),
    persons=st.sampled_from([(), ("p1", "p2")]),
    min_visible=st.sampled_from([None, None, 0.0, 0.5]),
    rows=st.sampled_from([None, "crop", "tracklet"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=filters)
def test_filters_let_through_what_they_say(mixed, where):
    store, items = mixed
    expected = [item.key for item in items if allowed(item, where)]
    assert [item.key for item in store.find("mixed", where)] == expected
    assert [item.key for item in store.items("mixed", store.ids("mixed", where))] == expected
    nearest, distances = store.nearest("mixed", first_stage_vectors(embedding(1))[0], where=where, top=1000)
    assert sorted(item.key for item in store.items("mixed", nearest)) == sorted(expected)
    assert (np.diff(distances) >= 0).all()


ALONE = [
    Filter(cameras=("a",)), Filter(start=4.0), Filter(start=1.0), Filter(start=20_000 * DAY), Filter(end=5.0),
    Filter(tags=("hat",)), Filter(tags=("bag", "hat")), Filter(sources=("s1",)), Filter(persons=("p1", "p2")),
    Filter(min_visible=0.5), Filter(rows="crop"), Filter(rows="tracklet"),
]  # fmt: skip


@pytest.mark.parametrize("where", ALONE)
def test_a_condition_alone_lets_through_what_it_says_to_its_very_limit(mixed, where):
    """A tracklet that began before and ended at the start, or after it, is inside; so is what shows just enough."""
    store, items = mixed
    expected = [item.key for item in items if allowed(item, where)]
    assert 0 < len(expected) < len(items)
    assert [item.key for item in store.find("mixed", where)] == expected


@pytest.fixture
def mixed(store):
    r = np.random.default_rng(3)
    store.create("mixed", SPACE)
    choices = [None, 0.0, 5.0, -3.0, 40 * DAY, 20_000 * DAY, 20_029.9 * DAY, 20_031 * DAY, 1e13]
    items = []
    for n in range(80):
        time = choices[n % len(choices)]
        kind = "tracklet" if n % 5 == 0 else "crop"
        items.append(
            Item(
                f"m{n}", kind, b"\xff\xd8", f"s{n % 3}", [None, "a", "b"][r.integers(3)], time,
                None if time is None or kind == "crop" else time + [1.0, 29 * DAY, 50 * DAY][r.integers(3)],
                [None, "p1", "p2", "p3"][r.integers(4)], "m0" if n % 7 == 1 and kind == "crop" else None,
                tags=[(), ("hat",), ("bag", "hat")][r.integers(3)], visible=[None, 0.2, 0.5, 0.9][r.integers(4)],
            )
        )  # fmt: skip
    store.add("mixed", items, embedding=embedding(80))
    return store, items


def test_a_filter_by_rows(store):
    filled(store, 10)
    ids = store.ids("shop", Filter())
    assert store.ids("shop", Filter(ids=(int(ids[3]), 10**12))).tolist() == [ids[3]]
    assert store.ids("shop", Filter(ids=())).tolist() == []
    assert [i.id for i in store.find("shop", Filter(), limit=3, after=int(ids[4]))] == ids[5:8].tolist()


def test_nearest_is_the_exact_ranking(store):
    filled(store, 60)
    rows = first_stage_vectors(embedding(60))
    query = first_stage_vectors(embedding(1, seed=9))[0]
    expected = 1 - rows @ query
    ids, distances = store.nearest("shop", query, where=Filter(), top=10)
    np.testing.assert_allclose(distances, np.sort(expected)[:10], atol=1e-3)
    assert set(ids[:3]) == set(store.ids("shop", Filter())[np.argsort(expected)[:3]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": ""}, "1 to 200"),
        ({"key": "k" * 201}, "1 to 200"),
        ({"camera": "a\0b"}, "camera"),
        ({"source": "s" * 5000}, "source"),
        ({"tags": tuple("abcdefghij" * 11)}, "100 tags"),
        ({"thumbnail": b""}, "image"),
        ({"thumbnail": bytes(1_000_001)}, "image"),
        ({"time": float("nan")}, "time"),
        ({"time": 5.0, "end": 4.0}, "ends"),
        ({"end": 4.0}, "ends"),
    ],
)
def test_a_row_that_cannot_be_kept_is_refused_whole(store, change, said):
    store.create("shop", SPACE)
    items = [*crops(range(2)), dataclasses.replace(crops([3])[0], **change)]
    with pytest.raises(DataError, match=said):
        store.add("shop", items, embedding=embedding(3))
    assert store.info("shop").crops == 0


def test_vectors_that_cannot_be_kept_are_refused(store):
    store.create("shop", SPACE)
    bad = embedding(2)
    bad.vectors[1, 0, 3] = np.nan
    with pytest.raises(DataError, match="finite"):
        store.add("shop", crops(range(2)), embedding=bad)
    with pytest.raises(DataError, match="expected vectors"):
        store.add("shop", crops(range(2)), embedding=dataclasses.replace(embedding(2), names=("global", "legs")))
    with pytest.raises(DataError, match="one vector for each"):
        store.add("shop", crops(range(3)), embedding=embedding(2))
    with pytest.raises(DataError, match="not all zero"):
        store.nearest("shop", np.zeros(32, np.float32), where=Filter(), top=3)


def test_galleries_are_apart_and_their_names_are_checked(store):
    filled(store, 9)
    store.create("bank", dataclasses.replace(SPACE, fingerprint="f" * 16))
    store.add("bank", crops(range(4)), embedding=embedding(4))
    assert [g.name for g in store.galleries()] == ["bank", "shop"]
    assert len(store.ids("shop", Filter())) == 9 and len(store.ids("bank", Filter())) == 4
    assert store.items("bank", store.ids("shop", Filter())) == []
    with pytest.raises(DataError, match=r"did you mean 'shop'"):
        store.info("shopp")
    with pytest.raises(DataError, match="letters"):
        store.create("a b; DROP TABLE items", SPACE)
    with pytest.raises(DataError, match=r"holds embeddings of model ffff"):
        store.create("bank", SPACE)
    assert store.create("bank", dataclasses.replace(SPACE, fingerprint="f" * 16)).crops == 4
    with pytest.raises(DataError, match="16000 numbers"):
        store.create("big", dataclasses.replace(SPACE, dimension=9000))
    revision = store.info("shop").revision
    assert store.drop("shop") == 9 and [g.name for g in store.galleries()] == ["bank"]
    assert store.create("shop", SPACE).revision > revision


def test_a_job_is_kept_with_its_rows_or_not_at_all(store):
    store.create("shop", SPACE)
    assert store.job_state("shop", "video") is None
    store.add("shop", crops(range(2)), embedding=embedding(2), job="video", done={"frame": 10, "tracks": [1, 2]})
    assert store.job_state("shop", "video") == {"frame": 10, "tracks": [1, 2]}
    bad = [dataclasses.replace(crops([5])[0], thumbnail=b"")]
    with pytest.raises(DataError):
        store.add("shop", bad, embedding=embedding(1), job="video", done={"frame": 20})
    assert store.job_state("shop", "video") == {"frame": 10, "tracks": [1, 2]}
    store.add("shop", [], embedding=embedding(0), job="video", done={"frame": 30})
    assert store.job_state("shop", "video") == {"frame": 30}


def test_calibration_and_feedback(store):
    filled(store, 5)
    store.set_calibration("shop", {"points": [[0.1, 0.9]]})
    assert store.info("shop").calibration == {"points": [[0.1, 0.9]]}
    store.set_calibration("shop", None)
    assert store.info("shop").calibration is None
    first, second = (int(n) for n in store.ids("shop", Filter())[:2])
    store.feedback.give("shop", "q", item=first, same=True, who="ann")
    store.feedback.give("shop", "q", item=second, same=True, who="ann")
    store.feedback.give("shop", "q", item=first, same=False, who="bob")
    assert sorted(store.feedback.all("shop")) == [("q", first, False), ("q", second, True)]
    with pytest.raises(DataError, match="no row"):
        store.feedback.give("shop", "q", item=10**9, same=True, who="ann")
    store.delete("shop", Filter(ids=(first,)))
    assert store.feedback.all("shop") == [("q", second, True)]


def test_feedback_is_taken_back_for_one_row_and_one_query(store):
    filled(store, 5)
    first, second = (int(n) for n in store.ids("shop", Filter())[:2])
    for query, item in (("q", first), ("q", second), ("r", first)):
        store.feedback.give("shop", query, item=item, same=True, who="ann", distances={"same": 0.5})
    for _ in range(2):  # taken back already, nothing is done
        store.feedback.take_back("shop", "q", item=first)
        assert sorted(store.feedback.all("shop")) == [("q", second, True), ("r", first, True)]
    assert len(store.feedback.distances("shop", "same")) == 2
    with pytest.raises(DataError, match="no gallery"):
        store.feedback.take_back("nowhere", "q", item=first)


def test_an_index_finds_what_reading_everything_finds(store, address):
    n, top = 3_000, 50
    store.create("shop", SPACE)
    items = [dataclasses.replace(item, thumbnail=b"\xff\xd8") for item in crops(range(n))]  # in several periods
    vectors = embedding(n + 1)
    store.add("shop", items, embedding=vectors.select(slice(n)))
    queries = first_stage_vectors(embedding(20, seed=7))
    where = (Filter(), Filter(cameras=("c1",), start=1.7e9 + 3600 * 2_000))
    exact = [store.nearest("shop", query, where=w, top=top)[0] for query in queries for w in where]
    assert not store.index("shop")  # too small to be worth it
    assert store.index("shop", least=1) and store.index("shop", least=1)
    # So few rows are read faster than the index is: the server is told to do without.
    pushed = open_store(f"{address}&options=-c%20enable_seqscan%3Doff%20-c%20enable_sort%3Doff")
    found = [pushed.nearest("shop", query, where=w, top=top)[0] for query in queries for w in where]
    assert np.mean([len(set(a) & set(b)) / top for a, b in zip(found, exact, strict=True)]) >= 0.99
    # By itself the index gives 40 rows of a partition.
    assert len(pushed.nearest("shop", queries[0], where=Filter(), top=600)[0]) == 600
    later = dataclasses.replace(items[0], key="later", time=1.7e9 + 1e8)  # in a period of its own
    store.add("shop", [later], embedding=vectors.select(slice(n, None)))
    nearest, _ = pushed.nearest("shop", first_stage_vectors(vectors.select(slice(n, None)))[0], where=Filter(), top=1)
    assert store.items("shop", nearest)[0].key == "later"
    pushed.close()
    with psycopg.connect(address, options="-c search_path=unveil,public") as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        used = connection.execute(
            "SELECT sum(s.idx_scan) FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid) "
            "WHERE i.indexprs IS NOT NULL"
        ).fetchone()
        assert used[0] >= len(found)
        # Statistics are samples of the vectors that no removal would reach.
        connection.execute("ANALYZE")
        samples = "SELECT count(*) FROM pg_stats WHERE tablename ~ '^coarse_.*(_near|_idx)' OR attname = 'coarse'"
        assert connection.execute(samples).fetchone() == (0,)
