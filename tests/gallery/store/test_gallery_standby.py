"""Vectors of a second model: the first answers until the switch, which is whole, and which can be undone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import psycopg
import pytest
from stored import SPACE, crops, embedding

from unveil.errors import DataError
from unveil.gallery.derived import touched
from unveil.gallery.records import DerivedModel, Filter
from unveil.gallery.scoring import calibration
from unveil.gallery.search.records import Query
from unveil.gallery.search.searcher import Searcher
from unveil.gallery.store.opening import open_store
from unveil.records import Embedding

OTHER = dataclasses.replace(SPACE, fingerprint="fedcba9876543210", model="other")


@pytest.fixture
def shop(store):
    store.create("shop", SPACE)
    store.add("shop", crops(range(40)), embedding=embedding(40))
    return store


def fill(store, space=OTHER, seed=1, name="shop"):
    """Make the second model's vectors, and return those of all rows by id."""
    store.begin_standby(name, space, model="other.safetensors", own="own.safetensors")
    ids = store.missing_standby(name, "crop", limit=1000)
    made = embedding(len(ids), seed)
    store.fill_standby(name, ids, embedding=made, fingerprint=space.fingerprint)
    return dict(zip(ids.tolist(), made.vectors, strict=True))


def vectors(store, name="shop"):
    ids, found = store.embeddings(name, store.ids(name, Filter()))
    return dict(zip(ids.tolist(), found.vectors, strict=True))


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for number, vector in found.items():
        np.testing.assert_allclose(vector, expected[number], atol=2e-3)


def query_of(store, row, space, name="shop"):
    _, found = store.embeddings(name, [row])
    return Query(found, space.fingerprint, top=5)


def test_the_first_model_answers_until_the_switch_and_the_second_after_it(shop):
    before, ids = vectors(shop), shop.ids("shop", Filter())
    made = fill(shop)
    assert_same(vectors(shop), before)
    assert shop.info("shop").space == dataclasses.replace(SPACE, source="own.safetensors")
    assert shop.switch_model("shop")
    assert_same(vectors(shop), made)
    info = shop.info("shop")
    assert info.space == dataclasses.replace(OTHER, source="other.safetensors")
    assert (info.standby.space.fingerprint, info.standby.model, info.standby.kept) == (
        SPACE.fingerprint, "own.safetensors", True,
    )  # fmt: skip
    assert shop.verify("shop") == [] and shop.ids("shop", Filter()).tolist() == ids.tolist()
    assert shop.switch_model("shop")  # back
    assert_same(vectors(shop), before)
    assert shop.info("shop").space.fingerprint == SPACE.fingerprint and shop.verify("shop") == []


def test_a_search_in_memory_sees_the_vectors_of_the_model_that_answers(shop):
    searcher = Searcher(shop, "shop")
    first = int(shop.ids("shop", Filter())[0])
    found = searcher.search(query_of(shop, first, SPACE))
    assert found.hits[0].item.id == first and found.hits[0].distance < 1e-3
    fill(shop)
    assert searcher.search(query_of(shop, first, SPACE)).model.fingerprint == SPACE.fingerprint
    old = query_of(shop, first, SPACE)
    shop.switch_model("shop")
    found = searcher.search(query_of(shop, first, OTHER))
    assert found.hits[0].item.id == first and found.hits[0].distance < 1e-3
    expected = np.argsort([np.linalg.norm(v - vectors(shop)[first]) for v in vectors(shop).values()])[0]
    assert int(shop.ids("shop", Filter())[expected]) == found.hits[0].item.id
    with pytest.raises(DataError, match="embedded by model 0123456789abcdef, the gallery by fedcba9876543210"):
        searcher.search(old)


def test_a_search_during_which_the_switch_happens_mixes_nothing(shop):
    fill(shop)
    first = int(shop.ids("shop", Filter())[0])
    query = query_of(shop, first, SPACE)
    searcher = Searcher(shop, "shop")
    read = shop.embeddings

    def switched_meanwhile(name, ids):
        shop.embeddings = read
        shop.switch_model(name)
        return read(name, ids)

    shop.embeddings = switched_meanwhile
    with pytest.raises(DataError, match="the gallery by fedcba9876543210"):
        searcher.search(query)


def test_rows_added_meanwhile_hold_the_switch_up_until_they_have_vectors(shop):
    fill(shop)
    shop.add("shop", crops(range(40, 45)), embedding=embedding(5, 7), fingerprint=SPACE.fingerprint)
    before = vectors(shop)
    assert not shop.switch_model("shop")
    assert_same(vectors(shop), before)
    made = fill(shop, seed=2)
    assert len(made) == 5 and shop.switch_model("shop")
    assert {number: vectors(shop)[number].tobytes() for number in made} != {
        number: before[number].tobytes() for number in made
    }
    assert shop.verify("shop") == []


def test_what_the_model_before_embeds_is_refused_after_the_switch(shop):
    fill(shop)
    shop.switch_model("shop")
    with pytest.raises(DataError, match="embedded by model 0123456789abcdef, the gallery by fedcba9876543210"):
        shop.add("shop", crops([99]), embedding=embedding(1), fingerprint=SPACE.fingerprint)
    assert shop.add("shop", crops([99]), embedding=embedding(1), fingerprint=OTHER.fingerprint) == 1


def test_rows_deleted_meanwhile_are_in_neither_and_their_bytes_are_gone(shop, server_folder):
    fill(shop)
    ids = shop.ids("shop", Filter()).tolist()
    with psycopg.connect(shop._connections._dsn, options="-c search_path=unveil,public") as connection:
        gone = connection.execute("SELECT halfvec_send(vectors) FROM standby WHERE id = %s", (ids[3],)).fetchone()[0]
    assert in_files(server_folder, gone[4:])
    shop.delete("shop", Filter(ids=(ids[3],)))
    assert not in_files(server_folder, gone[4:])
    # A vector that was under way when its row went is not kept.
    assert shop.fill_standby("shop", [ids[3]], embedding=embedding(1), fingerprint=OTHER.fingerprint) == 0
    assert shop.switch_model("shop") and len(vectors(shop)) == 39 and shop.verify("shop") == []


def test_the_vectors_of_the_model_before_are_removed_with_their_bytes(shop, server_folder):
    fill(shop)
    with psycopg.connect(shop._connections._dsn, options="-c search_path=unveil,public") as connection:
        old = connection.execute("SELECT halfvec_send(vectors) FROM vectors ORDER BY id LIMIT 1").fetchone()[0]
    shop.switch_model("shop")
    assert in_files(server_folder, old[4:])
    removed = shop.drop_standby("shop")
    assert removed.space.fingerprint == SPACE.fingerprint and shop.info("shop").standby is None
    assert not in_files(server_folder, old[4:])
    with pytest.raises(DataError, match="no vectors of a second model"):
        shop.switch_model("shop")


def in_files(folder: Path, content: bytes) -> bool:
    """Whether any file of a server has these bytes; vectors are kept little-endian, and sent big-endian."""
    kept = np.frombuffer(content, ">f2").astype("<f2").tobytes()
    return any(kept in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_calibration_is_out_of_date_after_the_switch_and_back_after_undo(shop):
    shop.set_calibration("shop", {"format": 1, "fingerprint": SPACE.fingerprint, "modes": {}})
    fill(shop)
    assert not calibration.out_of_date(shop.info("shop"))
    shop.switch_model("shop")
    assert calibration.out_of_date(shop.info("shop")) and calibration.of(shop.info("shop"), "same") is None
    first = int(shop.ids("shop", Filter())[0])
    assert "out of date" in " ".join(Searcher(shop, "shop").search(query_of(shop, first, OTHER)).notes)
    shop.switch_model("shop")
    assert not calibration.out_of_date(shop.info("shop"))


def test_another_second_model_replaces_one_that_never_answered_and_no_kept_one(shop):
    fill(shop)
    third = dataclasses.replace(SPACE, fingerprint="1" * 16)
    shop.begin_standby("shop", third, model="third")
    assert len(shop.missing_standby("shop", "crop", limit=1000)) == 40
    with pytest.raises(DataError, match="another second model"):
        shop.fill_standby("shop", [1], embedding=embedding(1), fingerprint=OTHER.fingerprint)
    fill(shop, third)
    shop.switch_model("shop")
    with pytest.raises(DataError, match="remove them first"):
        shop.begin_standby("shop", OTHER, model="other")
    wide = dataclasses.replace(OTHER, fingerprint="2" * 16, dimension=99)
    with pytest.raises(DataError, match="gives other vectors"):
        shop.begin_standby("shop", wide, model="wide")


def test_a_tracklet_is_made_of_the_new_vectors_of_its_crops(store):
    store.create("shop", SPACE)
    items = [dataclasses.replace(item, tracklet="t", quality=0.5) for item in crops(range(3))]
    whole = dataclasses.replace(items[0], key="t", kind="tracklet", tracklet=None, crops=3)
    store.add("shop", [*items, whole], embedding=embedding(4))
    store.begin_standby("shop", OTHER, model="other")
    (tracklet,) = store.missing_standby("shop", "tracklet").tolist()
    assert len(store.standby_of_tracklet("shop", tracklet)[1]) == 0
    made = embedding(3, 5)
    store.fill_standby("shop", store.missing_standby("shop", "crop"), embedding=made, fingerprint=OTHER.fingerprint)
    quality, found = store.standby_of_tracklet("shop", tracklet)
    np.testing.assert_allclose(found.vectors, made.vectors, atol=2e-3)
    assert quality.tolist() == [0.5] * 3


def test_a_backup_has_both_models_and_what_was_derived(shop, tmp_path, own_database):
    fill(shop)
    shop.switch_model("shop")
    ids = shop.ids("shop", Filter()).tolist()
    shop.note_derived("shop", DerivedModel(OTHER.fingerprint, "m", ids[-1], 40), learnt=ids)
    shop.backup(tmp_path / "b.unveil")
    copy = open_store(own_database)
    copy.restore(tmp_path / "b.unveil")
    assert_same(vectors(copy), vectors(shop))
    assert copy.derived("shop") == shop.derived("shop") and copy.info("shop").standby == shop.info("shop").standby
    assert copy.switch_model("shop") and copy.verify("shop") == []
    copy.close()


def test_deleted_crops_are_counted_against_the_models_that_learnt_from_them(shop):
    ids = shop.ids("shop", Filter()).tolist()
    shop.delete("shop", Filter(ids=(ids[0],)))  # while it learnt
    shop.note_derived("shop", DerivedModel("a" * 16, "models/a", ids[-1], 40), learnt=ids)
    shop.add("shop", crops([90]), embedding=embedding(1))
    before = shop.derived("shop")
    assert [(m.crops, m.removed) for m in before] == [(40, 1)]
    later = int(shop.ids("shop", Filter())[-1])
    shop.delete("shop", Filter(ids=(later,)))  # it did not learn from this one
    assert touched(before, shop.derived("shop")) == []
    shop.delete("shop", Filter(ids=tuple(ids[1:4])))
    assert [(m.fingerprint, m.removed) for m in touched(before, shop.derived("shop"))] == [("a" * 16, 4)]


def test_tables_of_an_older_version_get_room_for_a_second_model(own_database):
    from unveil.gallery.store.postgresql.migrate import migrations

    with psycopg.connect(own_database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector; CREATE SCHEMA unveil; SET search_path = unveil, public")
        connection.execute("CREATE TABLE schema_version (version int PRIMARY KEY)")
        for version, sql in migrations():
            if version <= 5:
                connection.execute(sql.encode())
                connection.execute("INSERT INTO schema_version VALUES (%s)", (version,))
        connection.execute(
            "INSERT INTO galleries (name, space, created) VALUES ('old', %s, 0)",
            ('{"fingerprint": "0123456789abcdef", "names": ["global"], "dimension": 4, "weights": []}',),
        )
        for table, more in (("keys", ""), *((t, "PARTITION BY LIST (bucket)") for t in
                            ("items", "pictures", "coarse", "vectors"))):  # fmt: skip
            connection.execute(f"CREATE TABLE {table}_1 PARTITION OF {table} FOR VALUES IN (1) {more}")
            if more:
                connection.execute(f"CREATE TABLE {table}_1_other PARTITION OF {table}_1 FOR VALUES IN (-2147483648)")
        connection.execute("INSERT INTO keys (gallery, key, bucket) VALUES (1, 'k', -2147483648)")
        connection.execute(
            "INSERT INTO items VALUES (1, 1, -2147483648, 'k', 'crop', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
            "'{}', NULL, NULL, 1, 0); INSERT INTO pictures VALUES (1, 1, -2147483648, '\\xffd8'); "
            "INSERT INTO coarse VALUES (1, 1, -2147483648, '[1,0,0,0]'); "
            "INSERT INTO vectors VALUES (1, 1, -2147483648, '[1,0,0,0]', '[1]'); UPDATE galleries SET crops = 1"
        )
    store = open_store(own_database)
    space = dataclasses.replace(store.info("old").space, fingerprint="fedcba9876543210")
    store.begin_standby("old", space, model="other")
    new = Embedding(np.array([[[0, 1, 0, 0]]], np.float32), np.ones((1, 1), np.float32), ("global",))
    assert (
        store.fill_standby("old", store.missing_standby("old", "crop"), embedding=new, fingerprint="fedcba9876543210")
        == 1
    )
    assert store.switch_model("old") and vectors(store, "old")[1].tolist() == [[0, 1, 0, 0]]
    store.close()
