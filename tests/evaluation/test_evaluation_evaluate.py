"""Whole evaluations: figures, draws, intervals, permutations, JSON."""

from __future__ import annotations

import dataclasses
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.data.protocols import PROTOCOLS
from unveil.errors import DataError, ProtocolError
from unveil.evaluation.bootstrap import intervals
from unveil.evaluation.evaluate import Result, evaluate, evaluation_samples
from unveil.evaluation.metrics import average_precision, hits, inverse_negative_penalty
from unveil.evaluation.protocols import labels, select
from unveil.evaluation.ranking import rank_blocks, rank_positives
from unveil.evaluation.rerank import RerankSettings, rerank_blocks
from unveil.records import Dataset, Embedding, Protocol, Sample, Where


def world(people: int = 6, noise: float = 0.8) -> tuple[tuple[Sample, ...], Embedding]:
    """Three crops in each of two cameras; the first of each camera is the query."""
    rng = np.random.default_rng(0)
    samples, vectors = [], []
    for person in range(people):
        centre = rng.normal(size=(1, 6))
        for i in range(6):
            key = f"{person}_c{i % 2}_{i}"
            split = "query" if i < 2 else "gallery"
            samples.append(Sample(key, data=b"", person=str(person), camera=str(i % 2), split=split))
            vectors.append(centre + noise * rng.normal(size=(1, 6)))
    return tuple(samples), Embedding(np.array(vectors, np.float32), np.ones((len(vectors), 1), np.float32))


def test_a_perfect_embedding_scores_one_and_counts_what_took_part() -> None:
    samples, embedding = world(noise=0.0)
    dataset = Dataset("small", samples)
    result = evaluate(embedding, evaluation_samples(dataset), protocol=PROTOCOLS["market"], dataset=dataset)
    assert (result.queries, result.gallery, result.dropped) == (12, 24, 0)
    assert result.figures == {"cmc-1": 1, "cmc-5": 1, "cmc-10": 1, "cmc-20": 1, "mAP": 1, "mINP": 1}
    assert set(result.intervals.values()) == {(1.0, 1.0)}
    assert (result.dataset, result.dataset_hash) == ("small", dataset.hash)
    assert len(result.per_query) == 12


def test_the_figures_are_printed_with_their_protocol() -> None:
    samples, embedding = world()
    text = str(evaluate(embedding, samples, protocol=PROTOCOLS["market"], dataset=Dataset("small", samples)))
    assert text.startswith(f"small@{Dataset('small', samples).hash} under market#{PROTOCOLS['market'].hash}: R-1 ")
    assert "12 queries (0 dropped) x 24 gallery crops" in text


def test_only_crops_of_the_own_camera_means_dropped() -> None:
    samples, embedding = world()
    kept = [i for i, s in enumerate(samples) if not (s.person == "0" and s.split == "gallery" and s.camera == "1")]
    result = evaluate(embedding.select(kept), [samples[i] for i in kept], protocol=PROTOCOLS["market"])
    assert result.dropped == 1  # the query of camera 0 has no crop of camera 1 left
    assert "0_c0_0" not in result.per_query and "0_c1_1" in result.per_query
    with pytest.raises(ProtocolError, match=r"none of the 12 queries .* after junk \(same_camera, other_camera\) is"):
        evaluate(embedding, samples, protocol=Protocol("none", ("same_camera", "other_camera")))


def test_no_query_matches_itself() -> None:
    """Every crop is a query and in the gallery; itself, at distance 0, would be a hit."""
    samples, embedding = world(people=2)
    strangers = [dataclasses.replace(s, person=s.key) for s in samples]
    everybody = (Where("split", "in", ("query", "gallery")),)
    with pytest.raises(ProtocolError, match=r"none of the 12 queries .* after junk \(none\) is removed"):
        evaluate(embedding, strangers, protocol=Protocol("all", (), everybody, everybody))


def test_no_query_matches_its_own_camera_where_that_is_junk() -> None:
    """Crops of one camera are twins, those of two cameras point away from each other."""
    samples, _ = world(people=4)
    vectors = np.stack([np.eye(4)[int(s.person or 0)] * (1 if s.camera == "0" else -1) for s in samples])
    embedding = Embedding(vectors[:, None].astype(np.float32), np.ones((len(samples), 1), np.float32))
    assert evaluate(embedding, samples, protocol=PROTOCOLS["no_junk"]).cmc[1] == 1
    assert evaluate(embedding, samples, protocol=PROTOCOLS["market"]).cmc[1] == 0


def test_several_draws_are_averaged() -> None:
    samples, embedding = world()
    result = evaluate(embedding, samples, protocol=Protocol("single", (), shots=1, draws=5))
    assert (result.draws, result.gallery) == (5, 6)
    first = evaluate(embedding, samples, protocol=Protocol("single", (), shots=1))
    assert result.std["mAP"] > 0
    assert first.std == {} and first.mean_ap != result.mean_ap
    assert result.mean_ap == pytest.approx(result.mean_inp)  # one positive: the same figure
    assert "5 draws" in str(result) and "±" in str(result)
    assert np.mean(list(result.per_query.values())) == pytest.approx(result.mean_ap)


@pytest.mark.parametrize("draws", [2, 4])
def test_figures_of_draws_are_means_and_standard_deviations_of_each_alone(draws: int) -> None:
    """Where the one crop that is drawn is of the camera of a query, that query is dropped."""
    samples, embedding = world()
    protocol = Protocol("single", ("same_camera",), shots=1, draws=draws)
    each, without = [], set()
    for draw in range(draws):
        query, gallery = select(samples, protocol, draw=draw)
        codes = labels(samples, query, gallery=gallery, protocol=protocol)
        ranks = rank_positives(embedding.select(query), embedding.select(gallery), labels=codes)
        without |= set(np.flatnonzero(ranks.counts == 0).tolist())
        each.append(
            [np.nanmean(v) for v in (hits(ranks, 1), average_precision(ranks), inverse_negative_penalty(ranks))]
        )
    result = evaluate(embedding, samples, protocol=protocol)
    names = ("cmc-1", "mAP", "mINP")
    assert [result.figures[name] for name in names] == pytest.approx(np.mean(each, axis=0))
    assert [result.std[name] for name in names] == pytest.approx(np.std(each, axis=0, ddof=1))
    assert result.dropped == len(without) > 6 >= result.queries // 2


def test_a_draw_without_any_positive_is_an_error() -> None:
    samples = [
        Sample(key, data=b"", person="a", camera=camera, split=split)
        for key, camera, split in (("q", "1", "query"), ("g", "1", "gallery"), ("h", "2", "gallery"))
    ]
    one = Embedding(np.ones((3, 1, 2), np.float32), np.ones((3, 1), np.float32))
    with pytest.raises(ProtocolError, match="none of the 1 queries"):
        evaluate(one, samples, protocol=Protocol("single", ("same_camera",), shots=1, draws=6))


def test_figures_of_re_ranking_are_those_of_its_distances() -> None:
    samples, embedding = world(noise=1.5)
    protocol = PROTOCOLS["market"]
    query, gallery = select(samples, protocol)
    codes = labels(samples, query, gallery=gallery, protocol=protocol)
    for settings_ in (RerankSettings(3, 2), RerankSettings(6, 1, 0.1), RerankSettings()):
        blocks = rerank_blocks(embedding.select(query), embedding.select(gallery), settings=settings_)
        expected = average_precision(rank_blocks(blocks, codes))
        found = evaluate(embedding, samples, protocol=protocol, rerank=settings_)
        assert list(found.per_query.values()) == pytest.approx(expected.tolist())
        assert found.mean_ap != evaluate(embedding, samples, protocol=protocol).mean_ap


def test_intervals_are_drawn_with_the_seed_of_the_evaluation() -> None:
    samples, embedding = world(noise=1.5)
    seeds = ({}, {"seed": 0}, {"seed": 1})
    found = [evaluate(embedding, samples, protocol=PROTOCOLS["market"], **seed) for seed in seeds]
    assert found[0] == found[1] and found[0].intervals["mAP"] != found[2].intervals["mAP"]
    assert found[0].figures == found[2].figures
    assert (found[0].dataset, found[0].dataset_hash) == ("", "")


@given(st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_crops_changes_nothing(order: random.Random) -> None:
    samples, embedding = world()
    shuffled = order.sample(range(len(samples)), len(samples))
    protocol = Protocol("single", shots=1, draws=2)
    for rules in (protocol, PROTOCOLS["market"]):
        expected = evaluate(embedding, samples, protocol=rules)
        found = evaluate(embedding.select(shuffled), [samples[i] for i in shuffled], protocol=rules)
        assert (found, found.per_query) == (expected, expected.per_query)


def test_json_keeps_everything() -> None:
    samples, embedding = world()
    result = evaluate(embedding, samples, protocol=Protocol("single", shots=1, draws=2), rerank=RerankSettings(3, 2))
    tree = json.loads(json.dumps(result.to_json(per_query=True)))
    again = Result.from_json(tree)
    assert again == result and again.per_query == result.per_query and str(again) == str(result)
    assert "re-ranked (k1 3, k2 2, lambda 0.3)" in str(result)
    assert "per_query" not in result.to_json()
    assert Result.from_json(result.to_json()) == result


@pytest.mark.parametrize("tree", [{}, {"protocol": "p"}, {"cmc": 3}, {"cmc": {}, "intervals": {}, "unknown": 1}])
def test_json_of_something_else_is_refused(tree: dict[str, object]) -> None:
    with pytest.raises(DataError, match="not a result"):
        Result.from_json(tree)


def test_embedding_and_samples_must_have_one_length() -> None:
    samples, embedding = world()
    with pytest.raises(ValueError, match="36 embeddings for 35 samples"):
        evaluate(embedding, samples[1:], protocol=PROTOCOLS["market"])


def test_intervals_have_the_width_that_theory_says() -> None:
    values = np.random.default_rng(0).random((400, 2)) < [0.5, 0.9]
    low, high = intervals(values, samples=2000).T
    expected = 1.96 * values.std(axis=0) / np.sqrt(400)
    np.testing.assert_allclose((high - low) / 2, expected, rtol=0.1)
    np.testing.assert_allclose((high + low) / 2, values.mean(axis=0), atol=0.01)


def test_intervals_are_seeded_and_leave_out_dropped_queries() -> None:
    values = np.random.default_rng(0).random(50)
    with_gaps = np.insert(values, [0, 20, 50], np.nan)
    np.testing.assert_array_equal(intervals(values, seed=4), intervals(with_gaps, seed=4))
    assert not np.array_equal(intervals(values, seed=4), intervals(values, seed=5))
    np.testing.assert_array_equal(intervals(values), intervals(values, 1000, level=0.95, seed=0))
    assert np.isnan(intervals(np.full(3, np.nan))).all()
    np.testing.assert_array_equal(intervals(np.full(7, 0.1)), [[0.1, 0.1]])
