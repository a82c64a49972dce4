"""What somebody said of results: kept with distances to calibrate on, and known to the next query."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from stored import crops, embedding

from unveil.errors import DataError
from unveil.evaluation.distances import part_distances
from unveil.gallery.records import EmbeddingSpace, Filter
from unveil.gallery.search.audited import audited_search
from unveil.gallery.search.records import MAX_CROPS, Query
from unveil.gallery.search.searcher import Searcher

SPACE = EmbeddingSpace("0123456789abcdef", ("head", "legs"), 16, "cosine", (1.0, 0.5))


@pytest.fixture
def searcher(store):
    store.create("g", SPACE)
    store.add("g", crops(range(20)), embedding=embedding(20, space=SPACE))
    return Searcher(store, "g")


def query(**fields):
    return Query(embedding(3, 5, SPACE), SPACE.fingerprint, rows="crop", **fields)


def test_feedback_keeps_the_mean_distance_of_the_row_in_both_modes(searcher):
    asked, item = query(), int(searcher.store.ids("g", Filter())[4])
    searcher.give_feedback(asked, item, same=True, who="ann")
    _, row = searcher.store.embeddings("g", [item])
    for mode, weights in (("same", (1, 0.5)), ("changed", (1, 0.5 * 0.25))):  # legs are clothed
        each = []
        for n in range(3):
            shared = np.array(weights) * asked.positives.visibility[n] * row.visibility[0]
            each.append((shared * part_distances(asked.positives, n, gallery=row)[0]).sum() / shared.sum())
        ((known, same, distance),) = searcher.store.feedback.distances("g", mode)
        assert (known, same) == (asked.hash, True)
        assert distance == pytest.approx(np.mean(each), abs=1e-6)


def test_feedback_on_a_row_that_shares_no_part_has_no_distance(searcher):
    item = int(searcher.store.ids("g", Filter())[4])
    unseen = embedding(2, 5, SPACE)
    unseen.visibility[:] = 0
    searcher.keep_feedback(unseen, "q", item=item, same=False, who="ann")
    assert searcher.store.feedback.all("g") == [("q", item, False)]
    assert searcher.store.feedback.distances("g", "same") == searcher.store.feedback.distances("g", "changed") == []
    with pytest.raises(DataError, match="has no row 999999"):
        searcher.keep_feedback(query().positives, "q", item=999999, same=True, who="ann")


def test_each_row_is_confirmed_or_rejected_and_the_others_stay(searcher):
    a, b, c, d = searcher.store.ids("g", Filter())[:4].tolist()
    asked = query()
    for item, same in ((a, True), (b, True), (c, False), (d, False), (a, False), (d, True)):
        asked = searcher.give_feedback(asked, item, same=same, who="ann")
    assert (asked.confirmed, asked.rejected) == ((b, d), (c, a))
    again = searcher.with_feedback(query())
    assert (set(again.confirmed), set(again.rejected)) == ({b, d}, {c, a})


def test_the_latest_feedback_counts_when_there_is_more_than_a_query_takes(searcher):
    item = int(searcher.store.ids("g", Filter())[0])
    many = tuple(range(item + 1, item + 1 + MAX_CROPS))
    full = query(confirmed=many, rejected=tuple(n + MAX_CROPS for n in many))
    assert searcher.give_feedback(full, item, same=True, who="ann").confirmed == (*many[1:], item)
    assert searcher.give_feedback(full, item, same=False, who="ann").rejected == (*full.rejected[1:], item)


def test_a_search_is_in_the_audit_log_with_what_was_asked_and_found(searcher):
    asked = query(top=3, where=Filter(cameras=("c1", "c2"), start=1.0), mode="changed")
    found = audited_search(searcher, asked, who="ann", why="case 7")
    assert [hit.item.id for hit in found.hits] == [hit.item.id for hit in searcher.search(asked).hits]
    (entry,) = [entry for entry in searcher.store.entries("g") if entry["action"] == "search"]
    assert (entry["who"], entry["why"], entry["gallery"], entry["query"]) == ("ann", "case 7", "g", asked.hash)
    assert entry["results"] == [hit.item.id for hit in found.hits] and len(found.hits) == 3
    assert entry["details"] == {"mode": "changed", "where": {"cameras": ["c1", "c2"], "start": 1.0}}


def test_a_search_that_fails_or_cannot_be_logged_is_not_answered(searcher, monkeypatch):
    with pytest.raises(DataError, match="embedded by model"):
        audited_search(searcher, dataclasses.replace(query(), fingerprint="f" * 16), who="ann")

    def full(_entry):
        raise OSError("no space left")

    monkeypatch.setattr(searcher.store, "log", full)
    with pytest.raises(OSError, match="no space left"):
        audited_search(searcher, query(), who="ann")
