"""Ranks of a PyTorch device against numpy's; the device is the processor, as no machine of the tests has a GPU."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.cli.models import evaluate as command
from unveil.errors import DataError
from unveil.evaluation import on_device as module
from unveil.evaluation.evaluate import evaluate
from unveil.evaluation.on_device import rank_on_device
from unveil.evaluation.protocols import Labels
from unveil.evaluation.ranking import Ranks, rank_positives
from unveil.evaluation.rerank import RerankSettings
from unveil.records import Embedding, Metric, Protocol, Sample

CPU = torch.device("cpu")
ranked = partial(rank_on_device, device=CPU)


def crops(rng: np.random.Generator, count: int, *, parts: int, metric: Metric, exact: bool) -> Embedding:
    """Some parts unseen; exact ones have numbers whose sums and norms are exact, and so many equal distances."""
    shape = (count, parts, 4)
    vectors = rng.choice([-1, 1], shape) if exact else rng.normal(size=shape)
    visibility = rng.choice([0, 0.5, 1], (count, parts))
    weights = (1.0, 0.5, 2.0)[:parts]
    return Embedding(vectors.astype(np.float32), visibility.astype(np.float32), tuple("abc")[:parts], metric, weights)


def codes(rng: np.random.Generator, queries: int, gallery: int, *, people: int = 4) -> Labels:
    """Some queries are in the gallery as well, and so junk for themselves."""
    query, other = (
        {"crop": first + np.arange(n), "person": rng.integers(0, people, n), "camera": rng.integers(0, 3, n)}
        for first, n in ((0, queries), (queries // 2, gallery))
    )
    return Labels(query, other, ("same_camera",))


def same(found: Ranks, expected: Ranks) -> None:
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    np.testing.assert_array_equal(found.ranks, expected.ranks)


@given(
    st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 40), st.integers(1, 3),
    st.sampled_from(["cosine", "euclidean"]), st.integers(1, 9),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_ranks_are_those_of_numpy_with_ties_junk_and_unseen_parts(seed, queries, gallery, parts, metric, rows):
    rng = np.random.default_rng(seed)
    query, other = (crops(rng, n, parts=parts, metric=metric, exact=True) for n in (queries, gallery))
    labels = codes(rng, queries, gallery)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_PAIRS", rows * gallery)
        same(ranked(query, other, labels=labels), rank_positives(query, other, labels=labels))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("parts", [1, 3])
def test_ranks_of_vectors_that_are_drawn_and_copied_are_those_of_numpy(parts, metric):
    rng = np.random.default_rng(parts)
    query, other = (crops(rng, n, parts=parts, metric=metric, exact=False) for n in (20, 150))
    other = Embedding.concatenate([other, query, other.select(slice(50))])
    labels = codes(rng, 20, len(other), people=12)
    expected = rank_positives(query, other, labels=labels)
    assert len(expected.ranks) > 150
    same(ranked(query, other, labels=labels), expected)


def test_nobody_to_find_and_nobody_asked_for():
    rng = np.random.default_rng(0)
    query, other = (crops(rng, n, parts=2, metric="cosine", exact=True) for n in (3, 7))
    labels = codes(rng, 3, 7)
    strangers = Labels(labels.query | {"person": np.full(3, 9)}, labels.gallery)
    assert ranked(query, other, labels=strangers).counts.tolist() == [0, 0, 0]
    nobody = Labels({name: column[:0] for name, column in labels.query.items()}, labels.gallery)
    assert len(ranked(query.select(slice(0)), other, labels=nobody)) == 0


@pytest.fixture
def four():
    """Four crops of two people as query and gallery, and their labels."""
    rng = np.random.default_rng(1)
    person = np.array([0, 0, 1, 1])
    labels = Labels({"crop": np.arange(4), "person": person}, {"crop": 4 + np.arange(4), "person": person})
    return *(Embedding(rng.normal(size=(4, 1, 3)).astype(np.float32), np.ones((4, 1))) for _ in range(2)), labels


@pytest.mark.parametrize("ranking", [rank_positives, ranked], ids=["numpy", "device"])
def test_what_does_not_fit_together_or_is_damaged_is_refused_alike(ranking, four, monkeypatch):
    query, gallery, labels = four
    monkeypatch.setattr(module, "BLOCK_PAIRS", 4)  # the damage is named by its row, not by that of its block
    with pytest.raises(ValueError, match="query and gallery differ in metric"):
        ranking(query, Embedding(gallery.vectors, gallery.visibility, metric="euclidean"), labels=labels)
    with pytest.raises(ValueError, match="labels are for 4 queries and 4 gallery crops, embeddings for 3 and 4"):
        ranking(query.select(slice(3)), gallery, labels=labels)
    gallery.visibility[2] = 1.5
    with pytest.raises(DataError, match="a visibility is NaN or outside"):
        ranking(query, gallery, labels=labels)
    gallery.visibility[2] = 1
    query.vectors[3, 0, 1] = np.nan
    for pair in ((query, gallery), (gallery, query)):
        with pytest.raises(DataError, match="vector 3 of 4 holds NaN"):
            ranking(*pair, labels=labels)


@pytest.mark.parametrize("lacking", [16, 300], ids=["part of a block", "part of the gallery"])
def test_the_processor_ranks_and_the_log_says_so_where_the_gallery_does_not_fit(four, lacking, monkeypatch, caplog):
    query, gallery, labels = four
    expected = rank_positives(query, gallery, labels=labels)
    need = gallery.vectors.nbytes + gallery.visibility.astype(np.float32).nbytes + 4 * 4 + 4 * module.PAIR_BYTES
    with caplog.at_level(logging.WARNING):
        same(ranked(query, gallery, labels=labels, free=int(need / module.USED) + 2), expected)
        assert not caplog.records
        monkeypatch.setattr(module, "shared_distances", None)  # nothing may be computed there
        same(ranked(query, gallery, labels=labels, free=int((need - lacking) / module.USED)), expected)
    assert [record.message for record in caplog.records] == [
        "cpu has no memory for the gallery, 0.0 GiB, and a block: the processor ranks"
    ]


def test_a_device_that_runs_out_of_memory_leaves_it_to_the_processor(four, monkeypatch, caplog):
    query, gallery, labels = four

    def short(*words, **named):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module, "shared_distances", short)
    same(ranked(query, gallery, labels=labels), rank_positives(query, gallery, labels=labels))
    assert "the processor ranks" in caplog.text

    def broken(*words, **named):
        raise RuntimeError("a defect")

    monkeypatch.setattr(module, "shared_distances", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        ranked(query, gallery, labels=labels)


def test_products_are_exact_and_the_setting_is_left_as_found(four, monkeypatch):
    query, gallery, labels = four
    of_module, seen = module.shared_distances, []

    def spied(*words, **named):
        matmul = torch.backends.cuda.matmul
        seen.append(matmul.fp32_precision if hasattr(matmul, "fp32_precision") else matmul.allow_tf32)
        return of_module(*words, **named)

    monkeypatch.setattr(module, "shared_distances", spied)
    before = torch.get_float32_matmul_precision()
    try:
        for setting, allowed in (("high", True), ("highest", False)):
            torch.set_float32_matmul_precision(setting)
            ranked(query, gallery, labels=labels)
            assert torch.backends.cuda.matmul.allow_tf32 is allowed
            assert torch.get_float32_matmul_precision() == setting
        monkeypatch.setattr(module, "put_last", None)
        torch.set_float32_matmul_precision("high")
        with pytest.raises(TypeError):
            ranked(query, gallery, labels=labels)
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(seen) <= {"ieee", False} and len(seen) == 3


def test_an_evaluation_has_the_same_figures_and_re_ranking_asks_no_device(monkeypatch):
    rng = np.random.default_rng(3)
    samples = [
        Sample(f"{i}", data=b"", person=str(i % 3), camera=str(i % 2), split="query" if i < 4 else "gallery")
        for i in range(20)
    ]
    embedding = crops(rng, 20, parts=2, metric="cosine", exact=False)
    protocol = Protocol("all", junk=())
    for rerank in (None, RerankSettings()):
        figures = evaluate(embedding, samples, protocol=protocol, rerank=rerank, ranking=ranked)
        assert figures == evaluate(embedding, samples, protocol=protocol, rerank=rerank)
        monkeypatch.setattr(module, "shared_distances", None)


def test_the_command_ranks_on_a_gpu_only_and_without_pytorch_by_numpy(monkeypatch):
    assert command._ranking("cpu") is rank_positives
    for device, expected in (("cuda:1", rank_on_device), ("cpu", None), ("mps", None)):
        monkeypatch.setattr("unveil.models.device.pick_device", lambda name, device=device: torch.device(device))
        chosen = command._ranking("auto")
        if expected is None:
            assert chosen is rank_positives
        else:
            assert (chosen.func, chosen.keywords) == (rank_on_device, {"device": torch.device(device)})
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    monkeypatch.setattr("unveil.models.device.pick_device", None)
    assert command._ranking("auto") is rank_positives
