from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import ROWS, SPACE, crops, embedding

from unveil.errors import DataError
from unveil.evaluation.distances import distance_matrix
from unveil.gallery.records import Filter, first_stage_vectors
from unveil.gallery.scoring.ranking import first_stage_query
from unveil.gallery.search.in_memory_index import InMemoryIndex, _rows
from unveil.gallery.search.records import Query
from unveil.gallery.search.searcher import Searcher


def query(seed=5, n=1, **fields):
    fields = {"rows": "crop", "rescore": ROWS, **fields}
    return Query(embedding(n, seed), SPACE.fingerprint, **fields)


def rows_of(store, where=None):
    return store.embeddings("g", store.ids("g", where or Filter()).tolist())


def test_a_search_finds_what_brute_force_finds(filled):
    for crops_of_query in (1, 3):
        asked = query(n=crops_of_query, top=7)
        found = Searcher(filled, "g").search(asked)
        ids, gallery = rows_of(filled)
        expected = distance_matrix(asked.positives, gallery).mean(axis=0)
        order = np.argsort(expected, kind="stable")[:7]
        assert [hit.item.id for hit in found.hits] == ids[order].tolist()
        np.testing.assert_allclose([hit.distance for hit in found.hits], expected[order], rtol=1e-5)
        assert set(found.hits[0].parts) <= set(SPACE.names)
        assert (found.candidates, found.rescored, found.first_stage) == (ROWS, ROWS, "memory")
        assert found.hits[0].item.thumbnail


def test_filters_come_first(filled):
    where = Filter(cameras=("c1",), start=1.7e9, end=1.7e9 + 3600 * 30)
    found = Searcher(filled, "g").search(query(where=where, top=5, rescore=5))
    allowed, gallery = rows_of(filled, where)
    assert found.candidates == len(allowed) == 10
    assert found.rescored == 5
    vectors = first_stage_vectors(gallery) @ first_stage_query(query().positives, "same")
    assert {hit.item.id for hit in found.hits} == set(allowed[np.argsort(-vectors)[:5]].tolist())


def test_memory_equals_brute_force_and_follows_every_change(filled):
    in_memory = InMemoryIndex(filled)
    vector = first_stage_query(embedding(1, 9), "same")

    def agree():
        info = filled.info("g")
        ids, gallery = rows_of(filled)
        expected = ids[np.argsort(1 - first_stage_vectors(gallery) @ vector, kind="stable")[:12]]
        got, candidates, _ = in_memory.nearest(info, vector, where=Filter(), top=12)
        assert candidates == len(ids)
        assert (
            len(set(got.tolist()) & set(expected.tolist())) >= min(12, len(ids)) - 1
        )  # halves may swap neighbours at the cut
        return ids

    before = agree()
    filled.add("g", crops(range(ROWS, ROWS + 25)), embedding=embedding(25, 77))
    assert len(agree()) == ROWS + 25
    filled.delete("g", Filter(ids=tuple(before[:40].tolist())))
    assert len(agree()) == ROWS - 15
    held = np.concatenate([block.ids for block in in_memory._copies["g"].blocks])
    assert not set(held.tolist()) & set(before[:40].tolist())  # what was deleted is in no memory either
    filled.drop("g")
    filled.create("g", SPACE)
    filled.add("g", crops(range(5)), embedding=embedding(5, 3))
    assert len(agree()) == 5


@given(seed=st.integers(0, 10_000), top=st.integers(1, 80), camera=st.sampled_from([None, "c0", "c2"]))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_memory_is_exact_for_any_query_and_filter(filled, seed, top, camera):
    where = Filter(cameras=(camera,)) if camera else Filter()
    in_memory, vector = InMemoryIndex(filled), first_stage_query(embedding(1, seed), "same")
    blocks = list(filled.blocks("g", filled.ids("g", Filter())))
    ids, vectors = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("ids", "vectors"))
    inside = np.isin(ids, filled.ids("g", where))
    order = np.argsort(1 - vectors[inside] @ vector, kind="stable")[:top]
    got, candidates, _ = in_memory.nearest(filled.info("g"), vector, where=where, top=top)
    assert candidates == inside.sum()
    np.testing.assert_allclose(
        np.sort(vectors[np.isin(ids, got)] @ vector), np.sort(vectors[inside][order] @ vector), atol=1e-6
    )
    assert set(got.tolist()) <= set(ids[inside].tolist())


def test_a_gallery_too_large_for_memory_is_left_to_the_engine(filled):
    small = Searcher(filled, "g", limit=1000)
    found = small.search(query(top=10, rescore=30))
    assert found.first_stage == "store"
    assert not small.in_memory._copies
    exact = Searcher(filled, "g").search(query(top=10, rescore=30))
    assert [h.item.id for h in found.hits][:5] == [h.item.id for h in exact.hits][:5]


def test_memory_makes_room_for_the_gallery_in_use(filled):
    filled.create("h", SPACE)
    filled.add("h", crops(range(ROWS)), embedding=embedding(ROWS))
    one = ROWS * 2 * 16 * 4
    in_memory = InMemoryIndex(filled, limit=one + 10)
    for name in ("g", "h", "g"):
        Searcher(filled, name, in_memory=in_memory).search(query())
        assert list(in_memory._copies) == [name]


def test_what_is_forgotten_or_removed_is_in_no_memory(filled, monkeypatch):
    in_memory, vector = InMemoryIndex(filled), first_stage_query(embedding(1), "same")
    in_memory.forget("g")  # of what is not there nothing is forgotten
    in_memory.drop_removed(filled.info("g"))
    assert not in_memory._copies
    in_memory.nearest(filled.info("g"), vector, where=Filter(), top=5)
    there = filled.ids("g", Filter()).tolist()
    filled.delete("g", Filter(ids=tuple(there[::2])))
    read, blocks = [], filled.blocks
    monkeypatch.setattr(filled, "blocks", lambda name, ids: read.extend(ids.tolist()) or blocks(name, ids))
    in_memory.drop_removed(filled.info("g"))
    assert not read  # what stays is not read again
    (block,) = in_memory._copies["g"].blocks
    assert block.ids.tolist() == there[1::2]
    in_memory.forget("g")
    assert not in_memory._copies


def test_a_search_does_not_wait_for_another_gallery_to_be_read(filled, monkeypatch):
    filled.create("cold", SPACE)
    filled.add("cold", crops(range(500, 520)), embedding=embedding(20))
    in_memory, vector = InMemoryIndex(filled), first_stage_query(embedding(1), "same")
    warm, cold = filled.info("g"), filled.info("cold")
    in_memory.nearest(warm, vector, where=Filter(), top=5)
    reading, may_go_on, blocks = threading.Event(), threading.Event(), filled.blocks

    def slow(name, ids):
        reading.set()
        assert may_go_on.wait(60)
        return blocks(name, ids)

    monkeypatch.setattr(filled, "blocks", slow)
    with ThreadPoolExecutor(3) as pool:
        both = [pool.submit(in_memory.nearest, cold, vector, where=Filter(), top=5) for _ in range(2)]
        assert reading.wait(60)
        try:
            assert pool.submit(in_memory.nearest, warm, vector, where=Filter(), top=5).result(30)[1] == warm.crops
        finally:
            may_go_on.set()
        assert [found.result(60)[1] for found in both] == [20, 20]


def test_rejecting_removes_the_row_and_its_like_and_confirming_draws_nearer(filled):
    searcher = Searcher(filled, "g")
    asked = query(top=ROWS + 1)
    first = searcher.search(asked)
    worst, best = first.hits[-1].item.id, first.hits[0].item.id
    ids, gallery = rows_of(filled)
    twin = filled.embeddings("g", [best])[1]
    filled.add("g", crops([500]), embedding=twin)
    twin_id = int(filled.ids("g", Filter())[-1])

    refined = searcher.give_feedback(asked, best, same=False, who="ann")
    second = searcher.search(refined)
    shown = [hit.item.id for hit in second.hits]
    assert best not in shown
    place = [hit.item.id for hit in searcher.search(asked).hits].index(twin_id)
    assert place <= 1
    assert shown.index(twin_id) > place  # it looks like the rejected one

    confirmed = searcher.give_feedback(asked, worst, same=True, who="ann")
    third = searcher.search(confirmed)
    distance = {hit.item.id: hit.distance for hit in third.hits}
    assert distance[worst] < first.hits[-1].distance
    positives = distance_matrix(asked.positives, gallery)[0], distance_matrix(gallery.select(ids == worst), gallery)[0]
    np.testing.assert_allclose([distance[i] for i in ids.tolist()], np.mean(positives, axis=0), rtol=1e-4, atol=1e-6)


def test_feedback_is_kept_with_the_query_and_the_last_word_counts(filled):
    searcher, asked = Searcher(filled, "g"), query()
    some = [hit.item.id for hit in searcher.search(asked).hits[:3]]
    searcher.give_feedback(asked, some[0], same=True, who="ann")
    searcher.give_feedback(asked, some[1], same=False, who="ann")
    searcher.give_feedback(asked, some[0], same=False, who="bob")
    again = searcher.with_feedback(dataclasses.replace(asked, top=3))
    assert again.confirmed == ()
    assert set(again.rejected) == set(some[:2])
    assert again.hash == asked.hash
    assert searcher.with_feedback(query(seed=6)).rejected == ()


def test_a_stored_row_is_a_query(filled):
    searcher = Searcher(filled, "g")
    first = int(filled.ids("g", Filter())[0])
    found = searcher.search(searcher.query_of([first], rows="crop", top=ROWS))
    assert first not in [hit.item.id for hit in found.hits]  # it is no answer to itself
    assert len(found.hits) == ROWS - 1
    found = searcher.search(searcher.query_of([first], rows="crop", top=3, own=()))
    assert found.hits[0].item.id == first
    assert found.hits[0].distance == pytest.approx(0, abs=1e-5)
    with pytest.raises(DataError, match="has no row 999999"):
        searcher.query_of([first, 999999])


def test_one_row_a_tracklet_unless_crops_are_asked_for(store):
    store.create("g", SPACE)
    items = crops(range(6))
    items = (
        [dataclasses.replace(i, tracklet="key5") for i in items[:3]]
        + items[3:5]
        + [dataclasses.replace(items[5], kind="tracklet", crops=3)]
    )
    store.add("g", items, embedding=embedding(6))
    searcher = Searcher(store, "g")
    keys = {hit.item.key for hit in searcher.search(query(rows="tracklet")).hits}
    assert keys == {"key3", "key4", "key5"}
    assert {hit.item.key for hit in searcher.search(query(rows="crop")).hits} == {f"key{n}" for n in range(5)}
    # Where else: not in the rest of the tracklet that the query is from.
    ids = store.ids("g", Filter()).tolist()
    for row, rows in ((ids[0], "tracklet"), (ids[1], "crop"), (ids[5], "crop")):
        for top in (1, 2, 6):
            hits = searcher.search(searcher.query_of([row], rows=rows, top=top)).hits
            assert len(hits) == min(top, 2) and {hit.item.key for hit in hits} <= {"key3", "key4"}


def test_wrong_queries_have_one_clear_answer_each(filled):
    searcher = Searcher(filled, "g")
    with pytest.raises(DataError, match="embedded by model ffffffffffffffff"):
        searcher.search(dataclasses.replace(query(), fingerprint="f" * 16))
    with pytest.raises(DataError, match="embedded by model"):
        negatives = dataclasses.replace(embedding(1), names=("a", "b"))
        searcher.search(dataclasses.replace(query(negatives=negatives), fingerprint="f" * 16))
    with pytest.raises(DataError, match="no crop"):
        query(n=0)
    hidden = query()
    hidden.positives.visibility[:] = 0
    with pytest.raises(DataError, match="shows no part of a person"):
        searcher.search(hidden)
    broken = query()
    broken.positives.vectors[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        searcher.search(broken)
    with pytest.raises(DataError, match="top and rescore"):
        query(top=0)
    with pytest.raises(DataError, match="at most 64 crops"):
        query(n=65)
    with pytest.raises(DataError, match="gallery"):
        Searcher(filled, "nothere")
    filled.create("empty", SPACE)
    with pytest.raises(DataError, match="'empty' is empty"):
        Searcher(filled, "empty").search(query())
    nothing = searcher.search(query(where=Filter(cameras=("nowhere",))))
    assert nothing.hits == ()
    known = ", ".join(filled.info("g").cameras)
    assert nothing.notes == (
        f"No camera 'nowhere' in this gallery; it has {known}.",
        f"No row passes the filters; without them the gallery has {ROWS}.",
    )


def test_an_uncalibrated_gallery_says_so_and_claims_nothing(filled):
    found = Searcher(filled, "g").search(query())
    assert (found.calibrated, found.match) == (False, None)
    assert {hit.probability for hit in found.hits} == {None}
    assert any("Not calibrated" in note for note in found.notes)


def test_threads_share_a_searcher_while_the_gallery_grows(filled):
    searcher = Searcher(filled, "g")
    with ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(searcher.search, query(seed=n % 5, top=3)) for n in range(20)]
        for n in range(5):
            filled.add("g", crops([1000 + n]), embedding=embedding(1, 50 + n))
        found = [s.result() for s in searches]
    assert all(len(f.hits) == 3 for f in found)
    assert searcher.search(query()).candidates == ROWS + 5


@given(st.lists(st.integers(1, 60), min_size=1, unique=True), st.lists(st.integers(1, 60), unique=True))
def test_rows_of_a_block_that_a_filter_lets_through(ids, allowed):
    ids, allowed = np.sort(np.array(ids)), np.sort(np.array(allowed, np.int64))
    np.testing.assert_array_equal(_rows(ids, allowed), np.flatnonzero(np.isin(ids, allowed)))
