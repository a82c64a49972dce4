from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.evaluation.distances import distance_matrix, part_distances
from unveil.gallery.records import first_stage_vectors
from unveil.gallery.scoring import ranking as scoring
from unveil.gallery.scoring.reasons import mode_note, reasons
from unveil.records import Embedding

NAMES = ("foreground", "head", "left-arm", "right-arm", "torso", "left-leg", "right-leg")


def draw(n, seed, names=NAMES, metric="euclidean", weights=(), occluded=0.3):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, len(names), 6)).astype(np.float32)
    visibility = (rng.random((n, len(names))) > occluded).astype(np.float32)
    visibility[:, 0] = 1
    return Embedding(vectors, visibility, names, metric, weights)


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 40), st.sampled_from(["cosine", "euclidean"]))
@settings(max_examples=40, deadline=None)
def test_ranking_is_the_mean_of_the_evaluators_distances(seed, queries, rows, metric):
    weights = tuple(np.random.default_rng(seed).uniform(0.1, 2, len(NAMES)).tolist())
    query, gallery = (
        draw(queries, seed, metric=metric, weights=weights),
        draw(rows, seed + 1, metric=metric, weights=weights),
    )
    found, distances = scoring.rank(query, gallery, top=rows, groups=np.zeros(queries, int))
    expected = distance_matrix(query, gallery).mean(axis=0)
    np.testing.assert_allclose(distances[0], expected[found[0]], rtol=1e-6)
    assert sorted(found[0].tolist()) == list(range(rows))
    assert (np.diff(distances[0]) >= 0).all()


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(2, 30))
@settings(max_examples=40, deadline=None)
def test_negatives_push_down_whoever_is_nearer_to_them_and_nobody_else(seed, others, rows):
    query, gallery, negatives = draw(2, seed), draw(rows, seed + 1), draw(others, seed + 2)
    plain = distance_matrix(query, gallery).mean(axis=0)
    against = distance_matrix(negatives, gallery).min(axis=0)
    found, distances = scoring.rank(query, gallery, top=rows, groups=np.zeros(2, int), negatives=negatives)
    pushed = np.empty(rows)
    pushed[found[0]] = distances[0]
    nearer = against < plain
    np.testing.assert_allclose(pushed[~nearer], plain[~nearer], rtol=1e-6)
    np.testing.assert_allclose(pushed[nearer], (2 * plain - against)[nearer], rtol=1e-5)


def test_the_rejected_image_itself_falls_behind_an_equal_one():
    query = draw(1, 0, occluded=0)
    twins = dataclasses.replace(draw(2, 1, occluded=0))
    twins.vectors[1] = twins.vectors[0] + 1e-3
    far = twins.select([1])
    far.vectors[0] = 2 * query.vectors[0] - twins.vectors[0]  # as far from the query, on the other side
    gallery = Embedding.concatenate([twins.select([0]), far])
    assert scoring.rank(query, gallery, top=2)[1][0] == pytest.approx([*distance_matrix(query, gallery)[0]], rel=1e-2)
    order, _ = scoring.rank(query, gallery, top=2, negatives=twins.select([1]))
    assert order[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("names", "covered"),
    [
        (NAMES, (False, False, True, True, True, True, True)),
        (("global", "foreground", "head", "left-arm", "torso", "right-leg"), (False, False, False, True, True, True)),
        (("stripe1", "stripe2", "stripe6"), (False, True, True)),
        (("final", "backbone"), (False, False)),
        (("appearance", "identity", "colours", "head", "torso"), (True, False, True, False, True)),
    ],
)
def test_parts_that_clothes_cover(names, covered):
    assert tuple(map(scoring.clothed, names)) == covered


def test_changed_clothes_weigh_clothed_parts_by_the_factor(monkeypatch):
    monkeypatch.setattr(scoring, "CHANGED_CLOTHES", 0.25)
    weights = (2.0, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0)
    changed = scoring.mode_weights(NAMES, weights, mode="changed")
    assert changed == (2.0, 1.0, 0.25, 0.25, 0.125, 0.25, 0.25)
    assert scoring.mode_weights(NAMES, weights, mode="same") == weights
    query, gallery = draw(1, 0, weights=weights), draw(9, 1, weights=weights)
    found, distances = scoring.rank(query, gallery, top=9, mode="changed")
    by_hand = distance_matrix(
        dataclasses.replace(query, weights=changed), dataclasses.replace(gallery, weights=changed)
    )
    np.testing.assert_array_equal(distances[0], by_hand[0, found[0]])
    assert scoring.mode_weights(("appearance", "identity", "head", "torso"), (1.0, 0.5, 0.1, 0.1), mode="changed") == (
        0.0, 0.5, 0.1, 0.0,
    )  # fmt: skip
    assert scoring.mode_weights(("global",), (), mode="changed") == (1.0,)
    assert scoring.mode_weights(("stripe2", "stripe3"), (), mode="changed") == (1.0, 1.0)


def test_a_mode_says_honestly_what_it_does():
    assert "count less" in mode_note(NAMES, "changed")
    assert "order is that of the other mode" in mode_note(("global",), "changed")


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_first_stage_query_of_one_crop_is_its_coarse_row(seed):
    weights = tuple(np.random.default_rng(seed).uniform(0.1, 2, len(NAMES)).tolist())
    query = draw(1, seed, metric="cosine", weights=weights)
    np.testing.assert_allclose(scoring.first_stage_query(query, "same"), first_stage_vectors(query)[0], atol=1e-6)


def test_the_first_stage_query_weighs_parts_as_the_mode_does(monkeypatch):
    monkeypatch.setattr(scoring, "CHANGED_CLOTHES", 0.0)
    query, gallery = draw(1, 0, metric="cosine", occluded=0), draw(50, 1, metric="cosine", occluded=0)
    exact = scoring.rank(query, gallery, top=50, mode="changed")[0][0]
    first_stage = np.argsort(-first_stage_vectors(gallery) @ scoring.first_stage_query(query, "changed"), kind="stable")
    np.testing.assert_array_equal(first_stage, exact)


def test_part_means_average_over_the_crops_that_show_the_part():
    query, gallery = draw(3, 0), draw(5, 1)
    query.visibility[:, 4] = [1, 0, 1]
    gallery.visibility[:, 4] = [1, 0, 1, 1, 1]
    gallery.visibility[:, 6] = 1
    query.visibility[:, 6] = 0
    means = scoring.part_means(query, gallery)
    each = [part_distances(query, row, gallery=gallery)[:, 4] for row in (0, 2)]
    np.testing.assert_allclose(means[[0, 2, 3, 4], 4], np.mean(each, axis=0)[[0, 2, 3, 4]], rtol=1e-6)
    assert np.isnan(means[1, 4])
    assert np.isnan(means[:, 6]).all()
    assert "torso" not in scoring.named_parts(NAMES, means[1])
    assert scoring.named_parts(("global",), np.array([0.5])) == {}


def test_a_query_is_known_by_model_and_crops():
    query = draw(2, 0)
    known = scoring.query_hash(query, "f" * 16)
    assert known == scoring.query_hash(draw(2, 0), "f" * 16)
    assert len({known, scoring.query_hash(query, "e" * 16), scoring.query_hash(query.select([0]), "f" * 16)}) == 3


def test_reasons_in_words():
    rng = np.random.default_rng(0)
    parts = rng.uniform(1, 2, (100, len(NAMES))).astype(np.float32)
    parts[0] = [1.4, 1.99, 0.1, 0.1, np.nan, np.nan, 0.2]
    shown = np.ones((2, len(NAMES)), np.float32)
    shown[:, 5] = 0
    parts[:, 5] = np.nan
    parts[1] = [1.01, *[np.nan] * 6]
    parts[2:, 0] = np.linspace(1, 2, 98)  # half of the candidates are nearer than row 0 as a whole
    said = reasons(NAMES, parts, query_visibility=shown, rows=[0, 1])
    assert said[0] == "arms and right leg match; head differs; torso occluded here; left leg occluded in the query"
    assert said[1].startswith("whole figure matches; head, arms, torso and right leg occluded here")
    alone = np.array([[0.1], *[[1.0]] * 49], np.float32)
    assert reasons(("global",), alone, query_visibility=np.ones((1, 1)), rows=[0]) == [
        "compared as a whole: nearer than 98 % of the 50 candidates"
    ]
    few = reasons(NAMES, parts[:3], query_visibility=np.ones((1, len(NAMES))), rows=[0])[0]
    assert few.startswith("few candidates to compare with, nearest in the left arm")
    two = np.linspace(0, 1, 50, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
    shown = np.ones((1, 2))
    assert reasons(("head", "torso"), two, query_visibility=shown, rows=[49]) == [
        "no part matches; head and torso differ"
    ], "what differs is not called the nearest"
    assert reasons(("head", "torso"), two, query_visibility=shown, rows=[15]) == [
        "no part matches, nearest in the head"
    ]
