"""First-stage vectors in memory: who searches while they are read, and what becomes of them."""

from __future__ import annotations

import threading

from stored import ROWS, SPACE, crops, embedding

from unveil.errors import UnveilError
from unveil.gallery.records import Filter
from unveil.gallery.search.in_memory_index import InMemoryIndex
from unveil.gallery.search.records import Query
from unveil.gallery.search.searcher import Searcher
from waiting import until


def query(**fields):
    return Query(embedding(1, 5), SPACE.fingerprint, rows="crop", rescore=ROWS, **fields)


def ids_of(found):
    return [hit.item.id for hit in found.hits]


def test_the_store_answers_until_a_large_gallery_is_in_memory(filled, monkeypatch):
    in_memory = InMemoryIndex(filled, at_once=0)
    searcher, exact = Searcher(filled, "g", in_memory=in_memory), Searcher(filled, "g").search(query(top=10))
    reading, may_go_on, blocks = threading.Event(), threading.Event(), filled.blocks

    def slow(name, ids):
        reading.set()
        assert may_go_on.wait(60)
        return blocks(name, ids)

    monkeypatch.setattr(filled, "blocks", slow)
    assert ids_of(first := searcher.search(query(top=10))) == ids_of(exact) and first.first_stage == "store"
    assert not reading.is_set()  # a command makes one search only
    assert searcher.search(query(top=10)).first_stage == "store"
    assert reading.wait(60)
    assert searcher.search(query(top=10)).first_stage == "store"  # nobody waits, and it is not read twice
    assert sum(thread.name == "read g" for thread in threading.enumerate()) == 1
    may_go_on.set()
    until(lambda: "g" in in_memory._copies)
    assert ids_of(last := searcher.search(query(top=10))) == ids_of(exact) and last.first_stage == "memory"
    filled.add("g", crops(range(500, 503)), embedding=embedding(3))
    assert searcher.search(query(top=10)).first_stage == "memory"  # what is new is read at once


def test_a_large_gallery_that_cannot_be_read_goes_on_being_searched_by_the_store(filled, monkeypatch, caplog):
    searcher = Searcher(filled, "g", in_memory=InMemoryIndex(filled, at_once=0))

    def broken(name, ids):
        raise UnveilError("the server does not answer")

    monkeypatch.setattr(filled, "blocks", broken)
    searcher.search(query())
    assert searcher.search(query()).first_stage == "store"
    until(lambda: "the store goes on searching" in caplog.text and not searcher.in_memory._behind)
    monkeypatch.undo()
    assert searcher.search(query()).first_stage == "store"
    until(lambda: "g" in searcher.in_memory._copies)  # the next search tried again


def test_a_store_that_may_miss_new_rows_does_not_answer_before_memory_does(filled, monkeypatch):
    monkeypatch.setattr(filled, "finds_all", False)
    found = Searcher(filled, "g", in_memory=InMemoryIndex(filled, at_once=0)).search(query())
    assert found.first_stage == "memory"


def test_the_store_is_asked_for_no_more_than_the_filter_says_and_for_no_filter_that_all_rows_pass(filled, monkeypatch):
    asked, nearest = [], filled.nearest
    monkeypatch.setattr(
        filled, "nearest", lambda name, vector, **more: asked.append(more["where"]) or nearest(name, vector, **more)
    )
    some = Filter(cameras=("c1",), rows="crop")
    for where in (Filter(rows="crop"), some):
        searcher = Searcher(filled, "g", in_memory=InMemoryIndex(filled, at_once=0))
        found = searcher.search(query(where=where))
        assert (
            ids_of(found) == ids_of(Searcher(filled, "g").search(query(where=where))) and found.first_stage == "store"
        )
    assert asked == [Filter(), some]
