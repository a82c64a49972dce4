"""Re-ranking of a shortlist: as the evaluator's own, with negatives, and with what shares no part left for last."""

from dataclasses import replace

import numpy as np
import pytest
import stored

from unveil.evaluation.distances import distance_matrix
from unveil.evaluation.rerank import rerank_blocks
from unveil.gallery.search.records import Query
from unveil.gallery.search.reranking import reranked_order
from unveil.gallery.search.searcher import Searcher
from unveil.records import Embedding


def embedding(vectors, visible=None):
    vectors = np.asarray(vectors, np.float32)
    visible = np.ones(vectors.shape[:2], np.float32) if visible is None else np.asarray(visible, np.float32)
    return Embedding(vectors, visible, tuple(f"v{n}" for n in range(vectors.shape[1])))


def points(rng, centre, count, spread=0.05):
    return np.asarray(centre)[None, None] + rng.normal(0, spread, (count, 1, len(centre)))


def test_the_order_is_that_of_the_evaluators_re_ranking():
    rng = np.random.default_rng(3)
    query, gallery = embedding(rng.normal(size=(3, 2, 8))), embedding(rng.normal(size=(40, 2, 8)))
    expected = np.concatenate([d for _, d in rerank_blocks(query, gallery)]).mean(axis=0)
    order = reranked_order(query, gallery, negatives=None, mode="same")
    assert (np.diff(expected[order]) >= -1e-6).all() and sorted(order) == list(range(40))
    assert (order != np.argsort(distance_matrix(query, gallery).mean(axis=0))).any(), "it changes something"


@pytest.mark.parametrize("mode", ["same", "changed"])
def test_negatives_add_to_re_ranked_distances_what_they_add_to_plain_ones(mode):
    """In the mode, in which legs weigh less when clothes may have changed, and on average over the query's crops."""
    rng = np.random.default_rng(8)
    query, gallery, negatives = (
        replace(embedding(rng.normal(size=(n, 2, 6))), names=("head", "legs")) for n in (3, 30, 2)
    )
    weights = (1.0, 0.25 if mode == "changed" else 1.0)
    weighted = [replace(one, weights=weights) for one in (query, gallery, negatives)]
    reranked = np.concatenate([d for _, d in rerank_blocks(*weighted[:2])]).mean(axis=0)
    plain = distance_matrix(*weighted[:2]).mean(axis=0)
    pushed = np.maximum(plain - distance_matrix(weighted[2], weighted[1]).min(axis=0), 0)
    for others, expected in ((None, reranked), (negatives, reranked + pushed)):
        order = reranked_order(query, gallery, negatives=others, mode=mode)
        assert (np.diff(expected[order]) >= -1e-6).all() and sorted(order) == list(range(30))
    assert (np.diff(reranked[order]) < 0).any(), "negatives change something"


def test_negatives_push_away_here_too():
    rng = np.random.default_rng(0)
    one, other = np.eye(8)[0] + 0.4 * np.eye(8)[1], np.eye(8)[0] - 0.4 * np.eye(8)[1]
    gallery = embedding(np.concatenate([points(rng, one, 5), points(rng, other, 5), rng.normal(size=(20, 1, 8))]))
    query = embedding((one + 0.9 * other)[None, None])
    negatives = embedding(other[None, None])
    plain = reranked_order(query, gallery, negatives=None, mode="same").tolist()
    pushed = reranked_order(query, gallery, negatives=negatives, mode="same").tolist()
    assert set(pushed[:5]) == set(range(5))
    assert sum(map(pushed.index, range(5, 10))) > sum(map(plain.index, range(5, 10)))


def test_what_shares_no_visible_part_with_the_query_comes_last():
    rng = np.random.default_rng(1)
    shown = np.tile([1.0, 1.0], (12, 1))
    shown[4] = [0.0, 1.0]
    query = embedding(rng.normal(size=(1, 2, 8)), [[1.0, 0.0]])
    order = reranked_order(query, embedding(rng.normal(size=(12, 2, 8)), shown), negatives=None, mode="same")
    assert order[-1] == 4


def test_a_re_ranked_search_has_the_order_of_the_shortlist_and_its_plain_distances(store):
    store.create("g", stored.SPACE)
    store.add("g", stored.crops(range(30)), embedding=stored.embedding(30))
    plain = Query(
        stored.embedding(2, 5), stored.SPACE.fingerprint, negatives=stored.embedding(1, 6), rows="crop", top=30
    )
    searcher = Searcher(store, "g")
    distances = {hit.item.id: hit.distance for hit in searcher.search(plain).hits}
    found = searcher.search(replace(plain, rerank=True)).hits
    ids, gallery = store.embeddings("g", sorted(distances))
    gallery = gallery.select(np.argsort(ids))
    order = reranked_order(plain.positives, gallery, negatives=plain.negatives, mode="same")
    assert [hit.item.id for hit in found] == np.sort(ids)[order].tolist() != list(distances)
    assert {hit.item.id: hit.distance for hit in found} == pytest.approx(distances)
