"""First-stage vectors of many rows at once, as the search in memory reads them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from stored import SPACE, crops, embedding

from unveil.errors import DataError
from unveil.gallery.records import EmbeddingSpace, Filter, first_stage_vectors
from unveil.gallery.store.postgresql.galleries import find_gallery
from unveil.gallery.store.postgresql.items import first_stage
from unveil.records import Embedding

FOUR = EmbeddingSpace("f" * 16, ("part0", "part1", "part2", "part3"), 128)
PERIODS = 5


def halves(rows: Embedding) -> np.ndarray:
    """What the store keeps of first-stage vectors."""
    return first_stage_vectors(rows).astype(np.float16).astype(np.float32)


def in_periods(numbers, count=PERIODS):
    """Crops whose periods alternate, so that ids do not ascend from table to table."""
    return [
        dataclasses.replace(c, time=1.7e9 + 40 * 86_400.0 * (n % count))
        for n, c in zip(numbers, crops(numbers), strict=True)
    ]


def read(store, ids, size):
    blocks = list(store.blocks("shop", ids, size=size))
    assert all(len(block.ids) for block in blocks)
    none = [np.empty((0, 0), np.float32)] if not blocks else []
    return (
        [number for block in blocks for number in block.ids.tolist()],
        np.concatenate([block.vectors for block in blocks] + none),
        [len(block.ids) for block in blocks],
    )


@pytest.mark.parametrize("space", [SPACE, FOUR], ids=["2x16", "4x128"])
@pytest.mark.parametrize("piece", [1, 1000, 1 << 20])
def test_every_row_comes_once_with_the_vector_that_is_stored(store, monkeypatch, space, piece):
    monkeypatch.setattr(first_stage, "PIECE_BYTES", piece)
    rows = embedding(50, space=space)
    rows.visibility[rows.visibility < 0.3] = 0
    rows.visibility[[7, 20]] = 0  # these show nothing: their vector is zero
    store.create("shop", space)
    store.add("shop", in_periods(range(50)), embedding=rows)
    ids = store.ids("shop", Filter())
    numbers, vectors, sizes = read(store, ids, 16)
    assert numbers == ids.tolist() == sorted(numbers) and sizes == [16, 16, 16, 2]
    np.testing.assert_array_equal(vectors, halves(rows))
    assert vectors.dtype == np.float32 and not vectors[[7, 20]].any() and vectors[8].any()
    for size in (1, 25, 1000):
        np.testing.assert_array_equal(read(store, ids, size)[1], vectors)
    assert store.verify("shop") == []


def test_rows_that_go_and_come_while_blocks_are_read(store):
    rows = embedding(40)
    store.create("shop", SPACE)
    store.add("shop", in_periods(range(40)), embedding=rows)
    ids = store.ids("shop", Filter())
    store.delete("shop", Filter(ids=tuple(ids[8:21].tolist())))
    store.add("shop", crops([90]), embedding=embedding(1, seed=5))
    stays = [*range(8), *range(21, 40)]
    numbers, vectors, sizes = read(store, ids, 8)  # the list is from before
    assert numbers == ids[stays].tolist() and sizes == [8, 3, 8, 8]  # no empty block, nothing of what came
    np.testing.assert_array_equal(vectors, halves(rows)[stays])
    later = store.ids("shop", Filter())
    numbers, vectors, _ = read(store, later[later > ids[-1]], 8)
    assert numbers == [later[-1]]
    np.testing.assert_array_equal(vectors, halves(embedding(1, seed=5)))


def test_only_rows_that_were_asked_for(store):
    rows = embedding(30)
    store.create("shop", SPACE)
    store.add("shop", in_periods(range(30)), embedding=rows)
    ids = store.ids("shop", Filter())
    numbers, vectors, _ = read(store, np.append(ids[::4], 10**15), 5)
    assert numbers == ids[::4].tolist()
    np.testing.assert_array_equal(vectors, halves(rows)[::4])
    assert read(store, ids[:0], 5)[0] == [] and read(store, np.array([10**15]), 5)[0] == []
    store.create("other", SPACE)
    assert list(store.blocks("other", ids)) == []  # rows of another gallery
    with pytest.raises(DataError, match="no gallery 'shp'"):
        list(store.blocks("shp", ids))


def test_the_vectors_of_the_model_that_answers(store):
    store.create("shop", SPACE)
    store.add("shop", in_periods(range(30)), embedding=embedding(30))
    other = dataclasses.replace(SPACE, fingerprint="fedcba9876543210")
    store.begin_standby("shop", other, model="other.safetensors")
    ids, second = store.ids("shop", Filter()), embedding(30, seed=1)
    store.fill_standby("shop", ids.tolist(), embedding=second, fingerprint=other.fingerprint)
    np.testing.assert_array_equal(read(store, ids, 7)[1], halves(embedding(30)))
    assert store.switch_model("shop")
    np.testing.assert_array_equal(read(store, ids, 7)[1], halves(second))


def test_reading_stops_when_the_caller_does(store):
    store.create("shop", SPACE)
    store.add("shop", crops(range(40)), embedding=embedding(40))
    blocks = store.blocks("shop", store.ids("shop", Filter()), size=4)
    assert len(next(blocks).ids) == 4
    blocks.close()
    assert store.delete("shop", Filter()) == 40  # waits for nobody who still reads


def test_the_server_reads_each_row_once_however_little_it_knows_of_the_table(store):
    """Tables that nobody has analysed yet are sorted whole for each block where a statement asks for an order."""
    count, size = 3000, 100
    store.create("shop", SPACE)
    store.add("shop", [dataclasses.replace(c, thumbnail=b"\xff\xd8") for c in in_periods(range(count), 3)],
              embedding=embedding(count))  # fmt: skip
    ids = store.ids("shop", Filter())
    with store._connections.transaction() as cursor:
        gallery, _ = find_gallery(cursor, "shop")
        for start in range(0, count, size):
            first_stage.block(cursor, gallery, asked=ids[start : start + size], width=32)
        cursor.execute(
            "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname ~ %s",
            (f"^coarse_{gallery}_",),
        )
        assert cursor.fetchone()[0] == count


def test_vectors_of_another_length_are_refused(store):
    store.create("shop", SPACE)
    store.add("shop", crops(range(3)), embedding=embedding(3))
    ids = store.ids("shop", Filter())
    with store._connections.transaction() as cursor:
        cursor.execute("UPDATE coarse SET coarse = '[1,2,3]' WHERE id = %s", (int(ids[1]),))
    with pytest.raises(ValueError, match="a vector has another length"):
        list(store.blocks("shop", ids))
    assert any("another length" in said for said in store.verify("shop"))
