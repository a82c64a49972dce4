"""Clusters of units, and what is known that they may not contradict."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra adapt is not installed")

from unveil.adaptation.groups.pseudo_labels import Links, mean_of_units, pseudo_labels
from unveil.evaluation.rerank import RerankSettings, jaccard_pairs, rerank_blocks
from unveil.records import Embedding

PEOPLE, EACH = 6, 5


def people(noise: float = 0.15, seed: int = 0) -> Embedding:
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(PEOPLE, 16), EACH, axis=0)
    vectors = centres + noise * rng.standard_normal(centres.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embedding(vectors[:, None].astype(np.float32), np.ones((len(vectors), 1), np.float32))


def labelled(embedding, links=None, **changes):
    settings = {"radius": 0.55, "neighbours": 5, "smallest": 2} | changes
    return pseudo_labels(embedding, links or Links.none(), **settings)


def links(must=(), cannot=()):
    return Links(*(np.array(pairs, np.int64).reshape(-1, 2) for pairs in (must, cannot)))


def test_jaccard_distances_are_those_of_re_ranking():
    # Re-ranking takes queries and gallery for different crops, so every unit is there twice in it.
    units = people()
    twice = Embedding.concatenate([units, units])
    settings = RerankSettings(k1=5, k2=3, original=0.0)
    expected = np.concatenate([block for _, block in rerank_blocks(units, units, settings=settings)])
    offsets, columns, distances = jaccard_pairs(twice, settings)
    found = np.ones((len(twice), len(twice)), np.float32)
    for row in range(len(twice)):
        own = slice(offsets[row], offsets[row + 1])
        found[row, columns[own]] = distances[own]
    assert distances.min() >= 0 and (np.diagonal(found) == 1).all()
    np.testing.assert_allclose(found[: len(units), len(units) :], expected, atol=1e-5)


def test_people_who_are_far_apart_become_clusters():
    found = labelled(people())
    assert len(found) == PEOPLE * EACH and found.max() + 1 == PEOPLE
    assert all(len(set(found[i : i + EACH])) == 1 for i in range(0, len(found), EACH))


def test_someone_like_nobody_is_an_outlier():
    units = people()
    units.vectors[0] = 0
    units.vectors[0, 0, 15] = 1
    assert labelled(units)[0] == -1


def test_two_who_cannot_be_one_person_are_never_in_one_cluster():
    cannot = [(0, 1), (2, 3), (5, 9)]
    found = labelled(people(), links(cannot=cannot))
    for a, b in cannot:
        assert found[a] != found[b] or found[a] == -1
    assert (found[10:] >= 0).all()  # the others are as they were


def test_a_cluster_is_of_one_place():
    units = people()
    places = np.arange(len(units)) % 2
    found = labelled(units, Links(*2 * [np.empty((0, 2), np.int64)], places), smallest=2)
    assert found.max() + 1 == 2 * PEOPLE and all(len(set(places[found == c])) == 1 for c in range(2 * PEOPLE))


def test_two_who_must_be_one_person_are_in_one_cluster():
    found = labelled(people(), links(must=[(0, 7), (29, 11)]))
    assert found[0] == found[7] >= 0 and found[29] == found[11] >= 0


def test_what_is_known_holds_where_clusters_chain():
    # 0 must be with 7, which cannot be with 1: 1 may not come in through 0's neighbours.
    found = labelled(people(), links(must=[(0, 7)], cannot=[(1, 7)]))
    assert found[0] == found[7] >= 0 and found[1] != found[7]


def test_hidden_vectors_neither_join_nor_part():
    rng = np.random.default_rng(3)
    units = people()
    odd = rng.standard_normal(units.vectors.shape).astype(np.float32)
    odd /= np.linalg.norm(odd, axis=2, keepdims=True)
    both = Embedding(
        np.concatenate([units.vectors, odd], axis=1),
        np.concatenate([units.visibility, np.zeros_like(units.visibility)], axis=1),
        ("appearance", "legs"),
    )
    np.testing.assert_array_equal(labelled(both), labelled(units))


def test_the_mean_of_a_unit_leaves_hidden_vectors_out():
    vectors = np.array([[[1.0, 0]], [[0, 1.0]], [[0, 1.0]]], np.float32)
    embedding = Embedding(vectors, np.array([[1.0], [0.0], [0.0]], np.float32))
    units = mean_of_units(embedding, np.array([0, 0, 1]))
    np.testing.assert_allclose(units.vectors[0, 0], [1, 0])
    np.testing.assert_array_equal(units.visibility[:, 0], [1, 0])
