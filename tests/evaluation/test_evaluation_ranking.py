"""Ranks and metrics against a naive reference that sorts everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.data.protocols import PROTOCOLS
from unveil.evaluation import ranking as module
from unveil.evaluation.distances import distance_matrix
from unveil.evaluation.metrics import average_precision, cmc, first_rank, hits, inverse_negative_penalty
from unveil.evaluation.protocols import Labels
from unveil.evaluation.ranking import Ranks, rank_blocks, rank_positives
from unveil.progress import observed
from unveil.records import Embedding, Relation


def naive_ranks(distances: np.ndarray, labels: Labels) -> list[list[int]]:
    """Sort the whole list of a query, at equal distance negatives first; drop junk; read off the ranks."""
    out = []
    for i, row in enumerate(distances):
        entries = []
        for j, distance in enumerate(row):
            same = labels.query["person"][i] == labels.gallery["person"][j]
            junk = labels.query["crop"][i] == labels.gallery["crop"][j]
            for rule in labels.junk:
                kind, column = rule.split("_")
                junk |= (labels.query[column][i] == labels.gallery[column][j]) == (kind == "same")
            if not (same and junk):
                entries.append((distance, bool(same)))
        out.append([rank for rank, (_, same) in enumerate(sorted(entries), 1) if same])
    return out


def naive_figures(ranks: list[list[int]]) -> tuple[float, float, float]:
    """Rank-1, mAP, mINP by their definitions."""
    kept = [r for r in ranks if r]
    ap = [np.mean([n / rank for n, rank in enumerate(r, 1)]) for r in kept]
    return (
        float(np.mean([r[0] == 1 for r in kept])),
        float(np.mean(ap)),
        float(np.mean([len(r) / r[-1] for r in kept])),
    )


def random_labels(rng: np.random.Generator, queries: int, gallery: int, junk: tuple[Relation, ...]) -> Labels:
    sides = []
    for start, count in ((0, queries), (queries - 2, gallery)):  # two crops are on both sides
        side = {"crop": np.arange(start, start + count)}
        sides.append(side | {c: rng.integers(0, 4, count) for c in ("person", "camera", "clothes")})
    return Labels(*sides, junk=junk)


@given(
    st.integers(0, 10**6),
    st.sampled_from([(), ("same_camera",), ("same_camera", "same_clothes"), ("same_camera", "other_clothes")]),
    st.integers(1, 8),
    st.integers(0, 8),
)
@settings(max_examples=60, deadline=None)
def test_ranks_of_quantised_distances_match_a_full_sort(
    seed: int, junk: tuple[Relation, ...], levels: int, few: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = random_labels(rng, 7, 23, junk)
    distances = rng.integers(0, levels, (7, 23)).astype(np.float32)
    expected = naive_ranks(distances, labels)
    blocks = [(slice(a, b), distances[a:b].copy()) for a, b in ((0, 3), (3, 6), (6, 7))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", few)  # positives of a query, beyond which its distances are sorted
        ranks = rank_blocks(blocks, labels)
    assert [ranks.of(i).tolist() for i in range(7)] == expected
    assert np.isnan(first_rank(ranks)).sum() == sum(not r for r in expected)
    if any(expected):
        r1, mean_ap, mean_inp = naive_figures(expected)
        assert cmc(ranks, 5)[0] == pytest.approx(r1)
        assert np.nanmean(hits(ranks, 1)) == pytest.approx(r1)
        assert np.nanmean(average_precision(ranks)) == pytest.approx(mean_ap)
        assert np.nanmean(inverse_negative_penalty(ranks)) == pytest.approx(mean_inp)


@pytest.mark.parametrize(
    ("protocol", "ranks", "ap"),
    [("market", [2, 3, 5], 0.588889), ("same_clothes", [2], 0.5), ("cross_clothes", [2, 4], 0.5)],
)
def test_hand_checked_example(protocol: str, ranks: list[int], ap: float) -> None:
    """The metrics row of the specification: the first crop is junk under all three rules."""
    labels = Labels(
        {"crop": np.array([100]), "person": np.array([1]), "camera": np.array([0]), "clothes": np.array([0])},
        {
            "crop": np.arange(6),
            "person": np.array([1, 2, 1, 1, 3, 1]),
            "camera": np.array([0, 1, 1, 2, 1, 3]),
            "clothes": np.array([0, 5, 0, 1, 7, 2]),
        },
        PROTOCOLS[protocol].junk,
    )
    distances = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]], np.float32)
    found = rank_blocks([(slice(0, 1), distances)], labels)
    assert found.ranks.tolist() == ranks
    assert average_precision(found)[0] == pytest.approx(ap, abs=1e-6)
    assert cmc(found, 2).tolist() == [0, 1]


def test_a_model_that_answers_the_same_for_all_gets_the_worst_figure() -> None:
    persons = np.array([0, 0, 1, 1, 1, 1])
    labels = Labels({"crop": np.array([10]), "person": np.array([0])}, {"crop": np.arange(6), "person": persons})
    same = Embedding(np.ones((6, 1, 4), np.float32), np.ones((6, 1), np.float32))
    assert rank_positives(same.select([0]), same, labels=labels).ranks.tolist() == [5, 6]


@pytest.mark.parametrize("parts", [1, 3])
def test_ranks_from_embeddings_match_a_full_sort(parts: int) -> None:
    rng = np.random.default_rng(5)
    labels = random_labels(rng, 9, 40, ("same_camera",))
    names = tuple("abc"[:parts])
    query, gallery = (
        # Whole numbers make squared distances exact, and equal distances frequent.
        Embedding(
            rng.integers(0, 3, (n, parts, 4)).astype(np.float32), rng.integers(0, 2, (n, parts)), names, "euclidean"
        )
        for n in (9, 40)
    )
    ranks = rank_positives(query, gallery, labels=labels)
    assert [ranks.of(i).tolist() for i in range(9)] == naive_ranks(distance_matrix(query, gallery), labels)


@pytest.mark.parametrize(
    ("sizes", "blocks"),
    [
        ((160, 1, 10**9), 40),  # as many queries as fit
        ((160, 6, 10**9), 7),  # too few for a product
        ((160, 6, 4 * 40 * 4), 10),  # more than that memory allows
    ],
)
def test_a_block_has_enough_queries_for_a_product_where_memory_allows(monkeypatch, sizes, blocks) -> None:
    for name, size in zip(("BLOCK_BYTES", "PRODUCT_ROWS", "MAX_BLOCK_BYTES"), sizes, strict=True):
        monkeypatch.setattr(module, name, size)
    rng = np.random.default_rng(2)
    labels = random_labels(rng, 40, 40, ("same_camera",))
    crops = Embedding(rng.integers(0, 3, (40, 1, 4)).astype(np.float32), np.ones((40, 1)), metric="euclidean")
    seen = []
    with observed(lambda what, done, total: seen.append((what, total))):
        ranks = rank_positives(crops, crops, labels=labels)
    assert seen == [("ranking", blocks)] * blocks
    assert [ranks.of(i).tolist() for i in range(40)] == naive_ranks(distance_matrix(crops, crops), labels)


def test_metrics_of_known_ranks() -> None:
    ranks = Ranks(np.array([1, 4, 3]), np.array([0, 2, 2, 3]))
    np.testing.assert_allclose(average_precision(ranks), [(1 + 2 / 4) / 2, np.nan, 1 / 3])
    np.testing.assert_allclose(inverse_negative_penalty(ranks), [2 / 4, np.nan, 1 / 3])
    np.testing.assert_allclose(first_rank(ranks), [1, np.nan, 3])
    np.testing.assert_allclose(hits(ranks, 2), [1, np.nan, 0])
    np.testing.assert_allclose(cmc(ranks, 4), [0.5, 0.5, 1, 1])


def test_no_positive_at_all() -> None:
    ranks = Ranks(np.empty(0, np.int64), np.zeros(4, np.int64))
    assert len(average_precision(ranks)) == 3
    assert np.isnan(average_precision(ranks)).all() and np.isnan(cmc(ranks, 3)).all()


def test_labels_of_another_set_are_refused() -> None:
    labels = Labels({"crop": np.arange(2), "person": np.arange(2)}, {"crop": np.arange(3), "person": np.arange(3)})
    one = Embedding(np.ones((2, 1, 4), np.float32), np.ones((2, 1), np.float32))
    with pytest.raises(ValueError, match="2 queries and 3 gallery crops"):
        rank_positives(one, one, labels=labels)
