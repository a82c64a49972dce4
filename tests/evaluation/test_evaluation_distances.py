"""Distances against loops over pairs and vectors."""

from __future__ import annotations

import numpy as np
import pytest

from unveil.errors import DataError
from unveil.evaluation import distances as module
from unveil.evaluation.distances import block_slices, distance_blocks, distance_matrix, part_distances
from unveil.records import Embedding, Metric


def naive(query: Embedding, gallery: Embedding) -> np.ndarray:
    """The formula, pair by pair in float64."""
    out = np.full((len(query), len(gallery)), np.nan)
    for i, (q, vq) in enumerate(zip(query.vectors.astype(float), query.visibility, strict=True)):
        for j, (g, vg) in enumerate(zip(gallery.vectors.astype(float), gallery.visibility, strict=True)):
            if gallery.metric == "cosine":
                each = [1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(q, g, strict=True)]
            else:
                each = [np.linalg.norm(a - b) for a, b in zip(q, g, strict=True)]
            weights = np.array(gallery.weights) * vq * vg
            if weights.sum() > 0:
                out[i, j] = (weights * each).sum() / weights.sum()
        seen = out[i][~np.isnan(out[i])]
        out[i][np.isnan(out[i])] = (seen.max() if len(seen) else 0) + 1
    return out


def embedding(
    seed: int, count: int, parts: int, metric: Metric, occlude: bool, weights: tuple[float, ...]
) -> Embedding:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, parts, 5)).astype(np.float32)
    visibility = rng.uniform(0.1, 1, (count, parts)).astype(np.float32)
    if occlude:
        visibility *= rng.random((count, parts)) < 0.5
    return Embedding(vectors, visibility, tuple(f"part{e}" for e in range(parts)), metric, weights)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("occlude", [False, True])
@pytest.mark.parametrize("weights", [(1.0,), (2.0, 0.0, 0.5)])
def test_distance_is_the_weighted_mean_over_shared_vectors(
    metric: Metric, occlude: bool, weights: tuple[float, ...]
) -> None:
    query = embedding(0, 7, len(weights), metric, occlude, weights)
    gallery = embedding(1, 9, len(weights), metric, occlude, weights)
    found = distance_matrix(query, gallery)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive(query, gallery), atol=2e-6)
    assert distance_matrix(query.select(slice(0)), gallery).shape == (0, 9)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 1.0)])
@pytest.mark.parametrize("cache", [1, 4 * 3 * 5, 10**6], ids=["a column", "five columns", "all columns"])
def test_blocks_give_the_same_as_one_matrix(weights, cache, monkeypatch) -> None:
    query, gallery = (embedding(s, 8, len(weights), "euclidean", True, weights) for s in (0, 1))
    whole = naive(query, gallery)
    monkeypatch.setattr(module, "CACHE_BYTES", cache)
    parts = [block for _, block in distance_blocks(query, gallery, blocks=[slice(0, 3), slice(3, 8)])]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-6)


def test_blocks_are_of_the_same_memory_where_the_caller_wants_that() -> None:
    query, gallery = (embedding(s, 8, 2, "cosine", True, (1.0, 1.0)) for s in (0, 1))
    blocks = [slice(0, 3), slice(3, 8), slice(8, 8)]
    for reuse in (False, True):
        found = list(distance_blocks(query, gallery, blocks=[*blocks, blocks[1], blocks[0]], reuse=reuse))
        assert np.shares_memory(found[1][1], found[3][1]) is reuse
        np.testing.assert_allclose(found[4][1], distance_matrix(query, gallery)[:3], atol=2e-6)


def test_masked_distance_of_the_specification() -> None:
    """Distances 1, 2, 4 with the second vector occluded give 2.5."""
    query = Embedding(np.zeros((1, 3, 1), np.float32), np.ones((1, 3), np.float32), ("a", "b", "c"), "euclidean")
    gallery = Embedding(
        np.array([[[1], [2], [4]]], np.float32), np.array([[1, 0, 1]], np.float32), ("a", "b", "c"), "euclidean"
    )
    assert distance_matrix(query, gallery).item() == pytest.approx(2.5)
    np.testing.assert_array_equal(part_distances(query, 0, gallery=gallery), [[1, np.nan, 4]])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_part_distances_explain_the_distance(metric: Metric) -> None:
    query, gallery = (embedding(s, 6, 3, metric, True, (1.0, 2.0, 1.0)) for s in (2, 3))
    parts = part_distances(query, 4, gallery=gallery)
    assert parts.dtype == np.float32
    shared = np.array(query.weights) * query.visibility[4] * gallery.visibility
    assert (np.isnan(parts) == (query.visibility[4] * gallery.visibility == 0)).all()
    seen = shared.sum(axis=1) > 0
    mean = (np.nan_to_num(parts) * shared).sum(axis=1)[seen] / shared.sum(axis=1)[seen]
    np.testing.assert_allclose(mean, distance_matrix(query, gallery)[4][seen], atol=2e-6)


def test_zero_vectors_are_far_and_not_undefined() -> None:
    zero = Embedding(np.zeros((1, 1, 4), np.float32), np.ones((1, 1), np.float32))
    assert distance_matrix(zero, zero).item() == 1.0


def test_block_slices_cover_all_rows_once() -> None:
    slices = block_slices(10, 1000, limit=4 * 1000 * 3)
    assert [(s.start, s.stop) for s in slices] == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert block_slices(0, 5) == []
    assert len(block_slices(2, 10**9)) == 2


def test_embeddings_of_two_models_are_refused() -> None:
    query = embedding(0, 2, 1, "cosine", False, (1.0,))
    with pytest.raises(ValueError, match="metric"):
        distance_matrix(query, embedding(0, 2, 1, "euclidean", False, (1.0,)))
    with pytest.raises(ValueError, match="5 numbers, gallery vectors 3"):
        distance_matrix(query, Embedding(query.vectors[:, :, :3], query.visibility, query.names))


@pytest.mark.parametrize("damage", [np.nan, np.inf])
def test_damaged_embeddings_are_refused(damage: float) -> None:
    good, bad = (embedding(0, 4, 1, "cosine", False, (1.0,)) for _ in range(2))
    bad.vectors[2, 0, 1] = damage
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(DataError, match="vector 2 of 4"):
            distance_matrix(*pair)
    occluded = embedding(0, 4, 1, "cosine", False, (1.0,))
    occluded.visibility[1] = damage
    with pytest.raises(DataError, match="visibility"):
        distance_matrix(occluded, good)


def test_the_distance_of_a_copy_is_never_below_zero():
    """Rounding puts many of them at -6e-8, which prints as -0.000."""
    vectors = np.random.default_rng(0).normal(size=(400, 2, 33)).astype(np.float32)
    for names in (("a", "b"), ("a",)):
        copy = Embedding(vectors[:, : len(names)], np.ones((400, len(names)), np.float32), names)
        own = np.diagonal(distance_matrix(copy, copy))
        assert (own >= 0).all() and not np.signbit(own).any() and own.max() < 1e-5
        assert np.nanmin(part_distances(copy, 3, gallery=copy)) >= 0
