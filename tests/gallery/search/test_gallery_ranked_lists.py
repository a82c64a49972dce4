"""Ranked lists of embeddings in memory, beside a sort of all distances."""

from __future__ import annotations

import numpy as np
import pytest

from unveil.evaluation.distances import distance_matrix, part_distances
from unveil.gallery.search.ranked_lists import RankedCrop, RankedList, rank
from unveil.models.embeddings import EmbeddedCrops
from unveil.records import Embedding, Sample

NAMES, GALLERY = ("head", "legs"), 12


def embedding(count, seed, visibility=None):
    vectors = np.random.default_rng(seed).normal(size=(count, 2, 4)).astype(np.float32)
    visibility = np.ones((count, 2)) if visibility is None else visibility
    return Embedding(vectors, np.asarray(visibility, np.float32), NAMES, "euclidean")


def crops(own, folder, prefix="crop"):
    """Crops whose files have numbers; one of the number ``None`` is no file, but bytes."""
    samples = [
        Sample(f"{prefix}{n}", data=b"x") if number is None else Sample(f"{prefix}{n}", path=folder / f"{number}.jpg")
        for n, number in enumerate(own)
    ]
    return tuple(samples)


@pytest.fixture
def gallery(tmp_path):
    """The files 0 ... 11, of which two are the same one and one is bytes."""
    files = [*range(GALLERY - 2), 3, None]
    return EmbeddedCrops(embedding(GALLERY, 0), crops(files, tmp_path), "f")


def listed(distances, own, top):
    """Rows from the nearest, without those that the query itself is."""
    return [int(g) for g in np.argsort(distances, kind="stable") if g not in own][:top]


def test_each_query_crop_has_a_list_without_itself(gallery, tmp_path):
    query = EmbeddedCrops(embedding(4, 1), crops([3, 99, None, 0], tmp_path / "x" / "..", "query"), "f")
    matrix = distance_matrix(query.embedding, gallery.embedding)
    for top in (1, 5, GALLERY):
        found = rank(query, gallery, top=top)
        for row, (ranked, own) in enumerate(zip(found, ({3, 10}, set(), set(), {0}), strict=True)):
            expected = listed(matrix[row], own, top)
            assert [hit.row for hit in ranked.hits] == expected
            assert [hit.rank for hit in ranked.hits] == list(range(1, len(expected) + 1))
            assert [hit.distance for hit in ranked.hits] == pytest.approx(matrix[row, expected].tolist())
            assert [hit.sample for hit in ranked.hits] == [gallery.samples[g] for g in expected]
            assert (ranked.rows, ranked.queries, ranked.title) == ((row,), (query.samples[row],), f"query{row}")
            parts = part_distances(query.embedding, row, gallery=gallery.embedding)
            for hit in ranked.hits:
                assert hit.parts == pytest.approx(dict(zip(NAMES, parts[hit.row].tolist(), strict=True)))


def test_crops_of_one_person_have_one_list_without_any_of_them(gallery, tmp_path):
    query = EmbeddedCrops(embedding(3, 2), crops([1, 3, None], tmp_path), "f")
    negatives = embedding(2, 5)
    mean = distance_matrix(query.embedding, gallery.embedding).mean(axis=0)
    nearest = distance_matrix(negatives, gallery.embedding).min(axis=0)
    for others, distances in ((None, mean), (negatives, mean + np.maximum(mean - nearest, 0))):
        (found,) = rank(query, gallery, top=6, one_person=True, negatives=others)
        expected = listed(distances, {1, 3, 10}, 6)
        assert [hit.row for hit in found.hits] == expected
        assert [hit.distance for hit in found.hits] == pytest.approx(distances[expected].tolist())
        assert (found.rows, found.queries, found.title) == ((0, 1, 2), query.samples, "crop0 and 2 more")


def test_clothes_that_may_have_changed_weigh_less(gallery, tmp_path):
    query = EmbeddedCrops(embedding(1, 3), crops([None], tmp_path), "f")
    each = part_distances(query.embedding, 0, gallery=gallery.embedding)
    expected = (each[:, 0] + 0.25 * each[:, 1]) / 1.25  # legs are clothed
    (changed,) = rank(query, gallery, top=GALLERY, mode="changed")
    assert [hit.row for hit in changed.hits] == listed(expected, set(), GALLERY)
    (same,) = rank(query, gallery, top=GALLERY)
    assert [hit.row for hit in same.hits] == listed(each.mean(axis=1), set(), GALLERY)


def test_parts_that_are_occluded_have_no_distance(tmp_path):
    query = EmbeddedCrops(embedding(1, 1), crops([None], tmp_path), "f")
    occluded = EmbeddedCrops(embedding(2, 0, [[1, 0], [1, 1]]), crops([0, 1], tmp_path), "f")
    (found,) = rank(query, occluded, top=2)
    assert {hit.row: set(hit.parts) for hit in found.hits} == {0: {"head"}, 1: {"head", "legs"}}


def test_no_query_has_no_list(gallery):
    assert rank(EmbeddedCrops(embedding(0, 0), (), "f"), gallery, top=3) == []


def test_lists_are_plain_values_in_json(tmp_path):
    path = tmp_path / "a.jpg"
    file = Sample("a", path=path, person="7", camera="c1")
    hits = (RankedCrop(1, 4, 0.25, file, {"head": 0.5}), RankedCrop(2, 0, 0.75, Sample("b", data=b"x"), {}))
    tree = RankedList((0, 1), (Sample("q", data=b"x"), file), hits).to_dict()
    assert tree == {
        "query": ["q", "a"],
        "hits": [
            {"rank": 1, "key": "a", "path": str(path), "distance": 0.25, "person": "7", "camera": "c1",
             "parts": {"head": 0.5}},
            {"rank": 2, "key": "b", "path": None, "distance": 0.75, "person": None, "camera": None, "parts": {}},
        ],
    }  # fmt: skip
