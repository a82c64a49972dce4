"""Sparse re-ranking against a dense one written from the paper's equations with sets and loops."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from unveil.errors import UnveilError
from unveil.evaluation import distances as distances_module
from unveil.evaluation import rerank as module
from unveil.evaluation.distances import block_slices, distance_matrix
from unveil.evaluation.rerank import RerankSettings, jaccard_pairs, rerank_blocks, rerank_memory
from unveil.records import Embedding, Metric


def naive_encodings(crops: Embedding, k1: int, k2: int) -> tuple[np.ndarray, np.ndarray]:
    """Zhong et al., section 3, crop by crop: encodings ``(N, N)`` and scaled distances ``(N, N)``."""
    d = distance_matrix(crops, crops).astype(float)
    if crops.metric == "euclidean":
        d **= 2  # eq. 1
    d /= d.max(axis=1, keepdims=True)
    np.fill_diagonal(d, 0)
    count = len(crops)
    order = [[p, *(g for g in np.argsort(d[p], kind="stable") if g != p)] for p in range(count)]

    def reciprocal(p: int, k: int) -> set[int]:
        return {g for g in order[p][: k + 1] if p in order[g][: k + 1]}

    encoded = np.zeros((count, count))
    for p in range(count):
        own = reciprocal(p, k1)
        expanded = set(own)
        for q in own:
            theirs = reciprocal(q, (k1 + 1) // 2)
            if len(own & theirs) >= 2 / 3 * len(theirs) - 1e-9:
                expanded |= theirs
        for g in expanded:
            encoded[p, g] = np.exp(-d[p, g])
    return np.stack([encoded[order[p][:k2]].mean(axis=0) for p in range(count)]), d


def naive_jaccard(a: np.ndarray, b: np.ndarray) -> float:
    return 1 - np.minimum(a, b).sum() / np.maximum(a, b).sum()


def naive(query: Embedding, gallery: Embedding, k1: int, k2: int, share: float) -> np.ndarray:
    encoded, d = naive_encodings(Embedding.concatenate([query, gallery]), k1, k2)
    out = np.zeros((len(query), len(gallery)))
    for i in range(len(query)):
        for j in range(len(gallery)):
            jaccard = naive_jaccard(encoded[i], encoded[len(query) + j])
            out[i, j] = (1 - share) * jaccard + share * d[i, len(query) + j]
    return out


def clusters(seed: int, count: int, metric: Metric, parts: int = 1) -> Embedding:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(6, parts, 8))
    vectors = centres[rng.integers(0, 6, count)] + 0.6 * rng.normal(size=(count, parts, 8))
    visibility = (rng.random((count, parts)) < 0.8).astype(np.float32) if parts > 1 else np.ones((count, 1), np.float32)
    return Embedding(vectors.astype(np.float32), visibility, tuple("abc"[:parts]), metric)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("k1", "k2", "share"), [(6, 3, 0.3), (5, 1, 0.0), (1, 2, 0.5), (60, 4, 0.3)])
def test_matches_the_dense_definition(
    metric: Metric, k1: int, k2: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, gallery = clusters(0, 11, metric), clusters(1, 37, metric)
    small = lambda rows, columns: block_slices(rows, columns, limit=4 * columns * 5)  # noqa: E731
    monkeypatch.setattr(module, "block_slices", small)
    blocks = list(rerank_blocks(query, gallery, settings=RerankSettings(k1, k2, share)))
    assert [rows.stop for rows, _ in blocks] == [5, 10, 11]
    np.testing.assert_allclose(np.concatenate([b for _, b in blocks]), naive(query, gallery, k1, k2, share), atol=2e-6)


@pytest.mark.parametrize("seed", range(12))
def test_matches_in_small_sets_whose_rows_are_cut_often(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a small set the first crop, of number 0, is a neighbour that counts."""
    monkeypatch.setattr(module, "_cut", lambda rows, _step, cut=module._cut: cut(rows, 3))
    query, gallery = clusters(2 * seed, 3, "euclidean"), clusters(2 * seed + 1, 11, "euclidean")
    k1, k2 = 2 + seed % 5, 1 + seed % 3
    found = np.concatenate([b for _, b in rerank_blocks(query, gallery, settings=RerankSettings(k1, k2, 0.0))])
    np.testing.assert_allclose(found, naive(query, gallery, k1, k2, 0.0), atol=2e-6)


@pytest.mark.parametrize(("k1", "k2"), [(3, 1), (4, 2), (30, 6)])
def test_jaccard_distances_of_pairs_are_those_of_their_encodings(k1: int, k2: int) -> None:
    """Crop by crop: who shares something with it, and how far away; the last is a copy of the first."""
    some = clusters(5, 17, "euclidean")
    crops = Embedding.concatenate([some, some.select([0])])
    encoded, _ = naive_encodings(crops, k1, k2)
    offsets, columns, distances = jaccard_pairs(crops, RerankSettings(k1, k2))
    assert offsets[0] == 0 and offsets[-1] == len(columns) == len(distances) and distances.dtype == np.float32
    for i in range(18):
        own = slice(offsets[i], offsets[i + 1])
        expected = {j: naive_jaccard(encoded[i], encoded[j]) for j in range(18) if j != i}
        expected = {j: distance for j, distance in expected.items() if distance < 1}
        assert columns[own].tolist() == sorted(expected)
        assert distances[own].tolist() == pytest.approx([expected[j] for j in sorted(expected)], abs=1e-6)
    assert distances.min() >= 0
    with pytest.raises(UnveilError, match="the limit is"):
        jaccard_pairs(crops, RerankSettings(k1, k2, limit=1))


def test_unit_vectors_are_ranked_alike_under_both_metrics() -> None:
    """A cosine distance is half the square of the Euclidean one."""
    vectors = [clusters(seed, 20, "cosine").vectors for seed in (1, 2)]
    vectors = [v / np.linalg.norm(v, axis=2, keepdims=True) for v in vectors]
    found = []
    for metric in ("cosine", "euclidean"):
        query, gallery = (Embedding(v, np.ones(v.shape[:2], np.float32), ("a",), metric) for v in vectors)
        found.append(np.concatenate([block for _, block in rerank_blocks(query, gallery)]))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_matches_with_hidden_parts() -> None:
    query, gallery = clusters(2, 8, "cosine", 3), clusters(3, 30, "cosine", 3)
    found = np.concatenate([b for _, b in rerank_blocks(query, gallery, settings=RerankSettings(5, 3, 0.3))])
    np.testing.assert_allclose(found, naive(query, gallery, 5, 3, 0.3), atol=2e-6)


def test_equal_crops_are_no_trouble() -> None:
    same = Embedding(np.ones((5, 1, 3), np.float32), np.ones((5, 1), np.float32), metric="euclidean")
    found = np.concatenate([b for _, b in rerank_blocks(same.select([0]), same, settings=RerankSettings(2, 1))])
    assert np.isfinite(found).all()


def test_memory_is_said_and_limited_before_it_starts(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, gallery = clusters(0, 3, "cosine"), clusters(1, 9, "cosine")
    need = rerank_memory(3, 9, numbers=8, settings=RerankSettings())
    with caplog.at_level(logging.INFO, "unveil"):
        next(iter(rerank_blocks(query, gallery, settings=RerankSettings(limit=need))))
    assert "at most 0.38 GiB" in caplog.text
    monkeypatch.setattr(distances_module, "distance_blocks", None)  # nothing may be computed
    with pytest.raises(UnveilError, match=r"may need 0\.38 GiB, the limit is 0\.38 GiB: raise"):
        next(iter(rerank_blocks(query, gallery, settings=RerankSettings(limit=need - 1))))


def test_memory_of_two_sets_is_that_worked_out_by_hand() -> None:
    """Per crop 8 bytes for 21 neighbours, 21 x 12 of the expanded set and twice 252 x 6 averaged; at most all crops."""
    blocks = 6 * 64 * 2**20
    large = rerank_memory(1000, 9000, numbers=100, settings=RerankSettings())
    assert large == 4 * 10_000 * 101 + 8 * 10_000 * (21 + 252 + 2 * 1512) + blocks
    small = rerank_memory(3, 9, numbers=8, settings=RerankSettings())
    assert small == 4 * 12 * 9 + 8 * 12 * (12 + 12 + 2 * 12) + blocks


def test_memory_grows_with_the_sets_not_with_their_product() -> None:
    small, large = (rerank_memory(n, 5 * n, numbers=2048, settings=RerankSettings()) for n in (1_000_000, 2_000_000))
    assert large < 2.1 * small


@pytest.mark.parametrize("wrong", [{"k1": 0}, {"k2": 0}, {"k1": 3, "k2": 5}, {"original": 1.5}])
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(UnveilError, match="expected k1 >= 1"):
        RerankSettings(**wrong)  # type: ignore[arg-type]
    assert {RerankSettings(original=share).original for share in (0.0, 1.0)} == {0, 1}
