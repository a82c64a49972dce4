"""Cases in the real store: what is kept, what two do at once, and what goes with the rows of removed people."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest
from stored import SPACE, crops, embedding

from own_postgres import new_folder, remove
from unveil.errors import DataError, UnveilError
from unveil.gallery.case_records import MAX_NOTE, CaseChangedError, NewQuery, QueryImage
from unveil.gallery.records import Filter
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.read_only import ReadOnlyStore

IMAGE = b"\x89PNG of someone" * 40


@pytest.fixture
def rows(store):
    """Ids of ten rows of a gallery; row n shows the person p(n % 5)."""
    import dataclasses

    store.create("shop", SPACE)
    items = [dataclasses.replace(item, person=f"p{n % 5}") for n, item in enumerate(crops(range(10)))]
    store.add("shop", items, embedding=embedding(10))
    return [int(number) for number in store.ids("shop", Filter())]


def query(**changes) -> NewQuery:
    values = {"name": "the blue coat", "settings": {"mode": "same", "top": 20}, "hash": "a" * 64}
    return NewQuery(**{**values, "images": (QueryImage(IMAGE), QueryImage(b"not him", True)), **changes})


def test_everything_of_a_case_is_there_again_in_another_process(store, address, rows):
    case = store.cases.create("  Stolen   bicycle ", "ann")
    assert (case.name, case.creator, case.version) == ("Stolen bicycle", "ann", 1)
    number = store.cases.add_query(
        case.id, "shop", query=query(negatives=(rows[1],), confirmed=(rows[3], rows[2]), rejected=(rows[4],)), who="ann"
    )
    assert store.cases.bookmark(case.id, "shop", item=rows[5], who="ann", note="enters")
    assert not store.cases.bookmark(case.id, "shop", item=rows[5], who="bob", note="again")
    store.cases.write(case.id, "bob", name="Bicycle", notes="black, \n no bell", version=1)
    store.cases.set_members(case.id, ["bob", "eva", "bob"])
    other = open_store(address)
    try:
        found = other.cases.named("Bicycle")
        assert other.cases.images(found.id, number) == [QueryImage(IMAGE), QueryImage(b"not him", True)]
        [summary] = other.cases.all()
    finally:
        other.close()
    [kept], [mark] = found.queries, found.bookmarks
    assert (found.notes, found.members, found.version) == ("black, \n no bell", ("bob", "eva"), 2)
    assert (kept.gallery, kept.name, kept.settings) == ("shop", "the blue coat", {"mode": "same", "top": 20})
    assert (kept.images, kept.positives, kept.negatives) == ((False, True), (), (rows[1],))
    assert (kept.confirmed, kept.rejected, kept.who) == ((rows[2], rows[3]), (rows[4],), "ann")
    assert (mark.gallery, mark.item, mark.note, mark.who, mark.version) == ("shop", rows[5], "enters", "ann", 1)
    assert (summary.id, summary.queries, summary.bookmarks, summary.members) == (found.id, 1, 1, ("bob", "eva"))
    assert summary.changed > found.created and found.galleries == ("shop",)


def test_of_two_who_write_one_text_the_second_is_told_and_nothing_is_lost(store, rows):
    case = store.cases.create("one", "ann")
    assert store.cases.write(case.id, "ann", name="one", notes="by ann", version=1) == 2
    with pytest.raises(CaseChangedError, match="ann changed this text meanwhile") as told:
        store.cases.write(case.id, "bob", name="one", notes="by bob", version=1)
    assert (told.value.text, told.value.version) == ("by ann", 2)
    assert store.cases.get(case.id).notes == "by ann"
    assert store.cases.write(case.id, "bob", name="one", notes="by both", version=2) == 3
    store.cases.bookmark(case.id, "shop", item=rows[0], who="ann", note="a")
    store.cases.write_note(case.id, "shop", item=rows[0], who="ann", note="b", version=1)
    with pytest.raises(CaseChangedError) as told:
        store.cases.write_note(case.id, "shop", item=rows[0], who="bob", note="c", version=1)
    assert (told.value.who, told.value.text, told.value.version) == ("ann", "b", 2)
    assert store.cases.get(case.id).bookmarks[0].note == "b"


def test_what_many_add_at_once_is_there_from_all(store, rows):
    case = store.cases.create("busy", "ann").id
    failed = []

    def work(item):
        try:
            store.cases.bookmark(case, "shop", item=item, who=f"w{item}")
            store.cases.add_query(case, "shop", query=query(positives=(item,), images=()), who=f"w{item}")
        except UnveilError as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(item,)) for item in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.cases.get(case)
    assert failed == []
    assert sorted(mark.item for mark in found.bookmarks) == rows
    assert sorted(one.positives[0] for one in found.queries) == rows


def test_deleting_a_person_takes_him_out_of_cases_and_says_so(store, rows):
    case, other = (store.cases.create(name, "ann").id for name in ("first", "second"))
    for item in rows[:6]:
        store.cases.bookmark(case, "shop", item=item, who="ann")
    only = store.cases.add_query(case, "shop", query=query(images=(), positives=(rows[0], rows[5])), who="ann")
    mixed = store.cases.add_query(
        case, "shop", query=query(positives=(rows[0],), confirmed=(rows[5], rows[1])), who="ann"
    )
    store.cases.bookmark(other, "shop", item=rows[3], who="bob")
    assert store.delete("shop", Filter(persons=("p0",))) == 2  # rows 0 and 5
    found = store.cases.get(case)
    assert [mark.item for mark in found.bookmarks] == rows[1:5]
    assert [one.id for one in found.queries] == [mixed] and only != mixed
    assert (found.queries[0].positives, found.queries[0].confirmed) == ((), (rows[1],))
    [removal] = found.removals
    assert (removal.gallery, removal.bookmarks, removal.rows, removal.queries) == ("shop", 2, 4, 1)
    assert str(removal) == (
        "2 bookmarks, 4 rows of searches, 1 search went from the case: the rows were removed from gallery 'shop'"
    )
    assert store.cases.get(other).removals == () and len(store.cases.get(other).bookmarks) == 1


def test_a_gallery_that_is_dropped_leaves_its_cases_and_a_word_in_them(store, rows):
    store.create("yard", SPACE)
    store.add("yard", crops([70, 71]), embedding=embedding(2))
    there = [int(number) for number in store.ids("yard", Filter())]
    case = store.cases.create("both", "ann").id
    store.cases.bookmark(case, "shop", item=rows[0], who="ann")
    store.cases.bookmark(case, "yard", item=there[0], who="ann")
    store.cases.add_query(case, "yard", query=query(), who="ann")
    store.drop("yard")
    found = store.cases.get(case)
    assert found.galleries == ("shop",) and found.queries == ()
    assert [(r.gallery, r.bookmarks, r.queries) for r in found.removals] == [("yard", 1, 1)]


def in_files(folder: Path, address: str, *needles: bytes) -> list[bytes]:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    files = [path.read_bytes() for path in (folder / "postgres").rglob("*") if path.is_file()]
    return [needle for needle in needles if any(needle in data for data in files)]


def test_no_byte_of_a_removed_note_or_image_stays_on_the_disk(store, address, server_folder, rows):
    note, crop = b"a note about a person who goes", b"\x89PNG of the one who goes" * 50
    case = store.cases.create("bytes", "ann").id
    store.cases.bookmark(case, "shop", item=rows[0], who="ann", note=note.decode())
    gone = store.cases.add_query(case, "shop", query=query(images=(QueryImage(crop),)), who="ann")
    needles = (note, crop[200:260])
    assert in_files(server_folder, address, *needles) == list(needles)
    store.delete("shop", Filter(ids=(rows[0],)))
    assert in_files(server_folder, address, *needles) == [crop[200:260]]
    store.cases.remove_query(case, gone)
    assert in_files(server_folder, address, *needles) == []
    store.cases.write(case, "ann", name="bytes", notes="a long text about someone else", version=1)
    store.cases.delete(case)
    assert in_files(server_folder, address, b"a long text about someone else") == []
    assert store.cases.all() == []


def test_a_backup_has_the_cases(store, rows, tmp_path):
    case = store.cases.create("kept", "ann").id
    store.cases.bookmark(case, "shop", item=rows[2], who="ann", note="hat")
    number = store.cases.add_query(case, "shop", query=query(), who="ann")
    store.backup(tmp_path / "all.backup")
    before = store.cases.get(case)
    folder = new_folder()
    try:
        restored = open_store(folder=folder)
        restored.restore(tmp_path / "all.backup")
        assert restored.cases.get(case) == before
        assert restored.cases.images(case, number)[0].data == IMAGE
        assert restored.cases.create("next", "ann").id > number  # numbers continue
        restored.close()
    finally:
        remove(folder)
    copy = ReadOnlyStore(tmp_path / "all.backup", tmp_path / "journal.jsonl")
    try:
        assert copy.cases.get(case) == before
        with pytest.raises(UnveilError, match="read only"):
            copy.cases.bookmark(case, "shop", item=rows[3], who="ann")
    finally:
        copy.close()


def test_what_cannot_be_kept_is_refused_in_words(store, rows):
    case = store.cases.create("one", "ann").id
    refused = {
        "there is a case 'one' already": lambda: store.cases.create("one", "bob"),
        "1 to 120 letters": lambda: store.cases.create("  \n ", "bob"),
        "there is no case 999999": lambda: store.cases.get(999_999),
        "did you mean 'one'": lambda: store.cases.named("on"),
        "has no row 12345": lambda: store.cases.bookmark(case, "shop", item=12_345, who="ann"),
        "no gallery 'yard'": lambda: store.cases.bookmark(case, "yard", item=rows[0], who="ann"),
        f"at most {MAX_NOTE:,}": lambda: store.cases.bookmark(case, "shop", item=rows[0], who="a", note="x" * 2_001),
        "no bookmark of row": lambda: store.cases.write_note(case, "shop", item=rows[0], who="a", note="x", version=1),
        "at least one image or row": lambda: query(images=(QueryImage(b"x", True),)),
        "has no search 77": lambda: store.cases.remove_query(case, 77),
        "at most 64 members": lambda: store.cases.set_members(case, [f"m{n}" for n in range(65)]),
    }
    for words, attempt in refused.items():
        with pytest.raises(DataError, match=words):
            attempt()
    found = store.cases.get(case)
    assert found.bookmarks == () and found.queries == () and found.members == ()
