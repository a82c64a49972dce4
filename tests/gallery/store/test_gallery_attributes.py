"""Attributes of rows in the store: kept, asked for, filled in for rows from before, gone with their rows."""

from dataclasses import replace

import numpy as np
import pytest
from stored import SPACE, crops, embedding

from unveil.attributes.records import Attribute, Attributes
from unveil.attributes.wanted import sureness
from unveil.gallery.records import Filter
from unveil.gallery.search.by_attributes import list_by_attributes
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.postgresql.migrate import migrations


def looks(*, upper=None, bag=None, shown=0.8) -> Attributes:
    return Attributes(
        upper_colour=None if upper is None else Attribute(upper, shown),
        bag=None if bag is None else Attribute({"yes": bag, "no": 1 - bag}, shown),
    )


SIX = (
    looks(upper={"blue": 0.9}, bag=0.9),
    looks(upper={"navy": 0.6, "red": 0.4}, bag=0.2),
    looks(upper={"red": 1.0}, bag=0.95),
    looks(bag=0.7),  # no upper clothes to be seen
    Attributes(),  # nothing to be seen
    None,  # nobody looked
)


@pytest.fixture
def shop(store):
    store.create("shop", SPACE)
    items = [replace(item, attributes=told) for item, told in zip(crops(range(6)), SIX, strict=True)]
    store.add("shop", items, embedding=embedding(6))
    return store


def keys(store, **where):
    return [item.key for item in store.find("shop", Filter(**where))]


def test_rows_keep_their_attributes(shop):
    found = shop.find("shop", Filter())
    assert [None if i.attributes is None else i.attributes.to_dict() for i in found] == [
        None if told is None else told.to_dict() for told in SIX
    ]
    assert shop.count_without_attributes("shop") == 1


@pytest.mark.parametrize(
    ("asked", "unseen", "expected"),
    [
        (("upper-colour=blue",), False, "01"),  # navy is taken for blue
        (("upper-colour=blue",), True, "01345"),
        (("upper-colour=red",), False, "12"),
        (("upper-colour=red", "upper-colour=blue"), False, "012"),
        (("bag=yes",), False, "023"),
        (("bag=no",), False, "1"),
        (("bag=yes", "upper-colour=blue"), False, "0"),
        (("bag=yes", "upper-colour=blue"), True, "0345"),
        (("hat=yes",), False, ""),
    ],
)
def test_a_filter_by_attributes(shop, asked, unseen, expected):
    assert keys(shop, attributes=asked, include_unseen=unseen) == [f"key{n}" for n in expected]
    ids = shop.ids("shop", Filter(attributes=asked, include_unseen=unseen))
    assert len(ids) == len(expected)


def test_rows_by_attributes_alone_are_the_surest_first_and_say_what_was_left_out(shop):
    where = Filter(attributes=("bag=yes",))
    found = list_by_attributes(shop, "shop", where=where, top=10)
    assert [s.item.key for s in found.sightings] == ["key2", "key0", "key3"]
    assert [s.sureness for s in found.sightings] == [0.95, 0.9, 0.7]
    assert (found.candidates, found.unseen) == (3, 2)
    assert "2 rows were left out because what is asked for cannot be seen" in found.notes[0]
    assert (
        "1 rows of this gallery have no attributes yet" in found.notes[1]
        and "unveil gallery attributes shop" in found.notes[1]
    )
    assert [s.item.key for s in list_by_attributes(shop, "shop", where=where, top=1).sightings] == ["key2"]
    every = list_by_attributes(shop, "shop", where=replace(where, include_unseen=True), top=10)
    assert [s.item.key for s in every.sightings] == ["key2", "key0", "key3", "key4", "key5"] and every.unseen == 0


def test_equally_sure_rows_come_by_time(shop):
    same = [replace(item, attributes=looks(bag=0.95)) for item in crops(range(6, 9))]
    shop.add("shop", [replace(one, time=9e8 - n) for n, one in enumerate(same)], embedding=embedding(3, 1))
    found = list_by_attributes(shop, "shop", where=Filter(attributes=("bag=yes",)), top=10).sightings
    assert [s.item.key for s in found][:4] == ["key8", "key7", "key6", "key2"]


def test_the_store_orders_as_the_records_say(shop):
    """The order is made in SQL, the numbers in Python: both mean the same."""
    r = np.random.default_rng(0)
    names = ("blue", "navy", "red", "grey", "black")
    told = [
        looks(upper=dict(zip(names, r.dirichlet(np.ones(5)).round(3).tolist(), strict=True)), bag=round(r.random(), 3))
        for _ in range(60)
    ]
    items = [replace(item, attributes=one) for item, one in zip(crops(range(10, 70)), told, strict=True)]
    shop.add("shop", items, embedding=embedding(60, 2))
    where = Filter(attributes=("upper-colour=navy", "bag=yes"))
    found = [s.sureness for s in list_by_attributes(shop, "shop", where=where, top=100).sightings]
    assert found == sorted(found, reverse=True) and len(found) > 5
    colour, bag = where.wanted
    passing = [
        t for t in told + list(SIX) if t and (colour.sureness(t) or 0) >= colour.least and (bag.sureness(t) or 0) >= 0.5
    ]
    assert found == pytest.approx(sorted((sureness(where.wanted, t) for t in passing), reverse=True), abs=2e-3)


def test_attributes_of_rows_from_before_are_filled_in(shop):
    before = shop.info("shop").revision
    (missing,) = shop.missing_attributes("shop", "crop").tolist()
    assert shop.fill_attributes("shop", {missing: looks(bag=0.8), 10**9: looks(bag=0.8)}) == 1
    assert keys(shop, attributes=("bag=yes",)) == ["key0", "key2", "key3", "key5"]
    assert shop.info("shop").revision > before  # filters that were remembered are old
    assert not len(shop.missing_attributes("shop", "crop")) and not shop.count_without_attributes("shop")
    assert shop.forget_attributes("shop") == 6
    assert len(shop.missing_attributes("shop", "crop", limit=4)) == 4 and not keys(shop, attributes=("bag=yes",))


def test_a_gallery_from_before_gets_the_column(own_database, monkeypatch):
    """A store with rows, whose tables are one version older, is brought up to date and keeps its rows."""
    number = next(n for n, sql in migrations() if "ADD COLUMN attributes" in sql)
    older = [step for step in migrations() if step[0] < number]
    import psycopg

    from unveil.gallery.store.postgresql import migrate
    from unveil.gallery.store.postgresql.items import partitions, rows

    monkeypatch.setattr(migrate, "migrations", lambda: older)
    monkeypatch.setattr(rows, "COLUMNS", rows.COLUMNS.replace(", attributes", ""))
    monkeypatch.setattr(rows, "TYPES", rows.TYPES[:-1])
    silent = {table: tuple(c for c in columns if c != "attributes") for table, columns in partitions.PERSONAL.items()}
    monkeypatch.setattr(partitions, "PERSONAL", silent)
    whole = rows.to_row
    monkeypatch.setattr(rows, "to_row", lambda *given, **named: whole(*given, **named)[:-1])
    old = open_store(own_database)
    old.create("shop", SPACE)
    old.add("shop", crops(range(4)), embedding=embedding(4))
    old.close()
    monkeypatch.undo()
    new = open_store(own_database)
    assert [item.attributes for item in new.find("shop", Filter())] == [None] * 4
    assert new.count_without_attributes("shop") == 4
    new.add("shop", [replace(item, attributes=SIX[0]) for item in crops(range(4, 6))], embedding=embedding(2, 1))
    assert keys(new, attributes=("bag=yes",)) == ["key4", "key5"]
    new.close()
    with psycopg.connect(own_database, options="-c search_path=unveil,public") as connection:
        targets = connection.execute(
            "SELECT DISTINCT attstattarget FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "WHERE a.attname = 'attributes' AND c.relname LIKE 'items%'"
        ).fetchall()
    assert targets == [(0,)]
