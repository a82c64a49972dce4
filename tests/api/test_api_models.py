"""The public functions on crops and models, on the figures of the generated dataset."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import unveil
from generated import figure
from untrained import make_model
from unveil.errors import CheckpointError, DataError, ProtocolError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return unveil.load_model(make_model(tmp_path_factory.mktemp("model"), "pcb"), device="cpu")


@pytest.fixture(scope="module")
def gallery(model, manifest):
    return unveil.embed(model, str(manifest), split="gallery")


def test_the_same_crop_embeds_alike_however_it_is_given(model, tmp_path):
    pixels = figure(3, 1, 0, 100, 40)
    path = tmp_path / "crop.png"
    Image.fromarray(pixels).save(path)
    sample = unveil.Sample("mine", path)
    of_file = unveil.embed(model, path)
    assert of_file.embedding.vectors.shape == (1, 6, 256)
    for given in (str(path), [path], pixels, [Image.open(path)], sample, unveil.Dataset("one", (sample,)), tmp_path):
        again = unveil.embed(model, given, batch_size=1)
        np.testing.assert_allclose(again.embedding.vectors, of_file.embedding.vectors, rtol=1e-4, atol=1e-5)
        assert again.fingerprint == model.card.fingerprint


def test_images_in_memory_leave_no_file_behind(model, monkeypatch, tmp_path):
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    people = [figure(person, 0, 0) for person in range(5)]
    assert len(unveil.embed(model, people, batch_size=2).samples) == 5
    assert not (tmp_path / "cache").exists()
    # Nor where files are among them; one of these that cannot be read is left out.
    Image.fromarray(people[0]).save(tmp_path / "file.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    mixed = unveil.embed(model, [people[1], tmp_path / "file.png", tmp_path / "broken.png"])
    assert len(mixed.samples) == len(mixed.embedding.vectors) == 2
    alone = unveil.embed(model, people[:2]).embedding.vectors
    np.testing.assert_allclose(mixed.embedding.vectors, alone[::-1], rtol=1e-4, atol=1e-5)
    assert not (tmp_path / "cache").exists()


def test_a_split_is_taken_and_an_unreadable_file_left_out(model, manifest, gallery, tmp_path):
    assert {sample.split for sample in gallery.samples} == {"gallery"}
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    Image.fromarray(figure(0, 0, 0)).save(tmp_path / "whole.png")
    assert [sample.key for sample in unveil.embed(model, tmp_path).samples] == ["whole.png"]
    with pytest.raises(DataError, match="has no crop of split 'train'"):
        unveil.embed(model, tmp_path, split="train")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((8, 8), np.uint8), r"expected \(H, W, 3\) uint8"),
        ([np.zeros((8, 8, 3))], r"crop 0: expected \(H, W, 3\) uint8 RGB, got \(8, 8, 3\) float64"),
        ([], "at least one crop"),
        ([7], "got int"),
        ("nowhere", "neither a file"),
    ],
)
def test_what_is_no_crop_is_refused_with_a_reason(model, given, said):
    with pytest.raises(DataError, match=said):
        unveil.embed(model, given)


def test_compare_gives_the_weighted_mean_of_the_parts(model, gallery):
    query = unveil.embed(model, [figure(7, 0, 0), figure(8, 0, 0)])
    found = unveil.compare(query, gallery)
    assert found.shape == (2, len(gallery.samples)) and found.dtype == np.float32
    q, g = query.embedding, gallery.embedding
    unit = [e.vectors / np.linalg.norm(e.vectors, axis=2, keepdims=True) for e in (q, g)]
    each = 1 - np.einsum("qed,ged->qge", *unit)
    shared = q.visibility[:, None] * g.visibility[None] * np.asarray(q.weights)
    np.testing.assert_allclose(found, (each * shared).sum(2) / shared.sum(2), atol=1e-5)


def test_search_ranks_by_that_distance_and_leaves_the_query_itself_out(model, manifest, gallery):
    query = unveil.embed(model, [manifest.parent / "images/p07_c0_1.png", manifest.parent / "images/p08_c1_1.png"])
    distances = unveil.compare(query, gallery)
    lists = unveil.search(query, gallery, top=4)
    assert len(lists) == 2
    for row, ranked in enumerate(lists):
        own = [g for g, sample in enumerate(gallery.samples) if sample.path == query.samples[row].path]
        expected = [g for g in np.argsort(distances[row], kind="stable") if g not in own][:4]
        assert own and [hit.row for hit in ranked.hits] == expected
        assert len(ranked.hits[0].parts) == 6
    (together,) = unveil.search(query, gallery, top=3, one_person=True)
    np.testing.assert_allclose(
        [h.distance for h in together.hits], distances.mean(0)[[h.row for h in together.hits]], atol=1e-5
    )


def test_negatives_move_what_resembles_them_away(model, gallery):
    query, other = unveil.embed(model, figure(7, 0, 9)), unveil.embed(model, figure(8, 0, 9))
    everything = {"top": len(gallery.samples)}
    plain = {hit.row: hit.distance for hit in unveil.search(query, gallery, **everything)[0].hits}
    moved = {hit.row: hit.distance for hit in unveil.search(query, gallery, negatives=other, **everything)[0].hits}
    nearer = unveil.compare(other, gallery)[0]
    for row, distance in plain.items():
        assert moved[row] == pytest.approx(distance + max(0, distance - nearer[row]), abs=1e-5)


def test_crops_of_different_models_are_never_compared(model, gallery, tmp_path):
    other = unveil.embed(unveil.load_model(make_model(tmp_path, "pcb", seed=1)), figure(0, 0, 0))
    for call in (
        lambda: unveil.compare(other, gallery),
        lambda: unveil.search(other, gallery),
        lambda: unveil.search(gallery, gallery, negatives=other),
    ):
        with pytest.raises(CheckpointError, match="embed both with the same model"):
            call()


def test_evaluate_reports_every_dataset_and_protocol_by_name(model, manifest):
    source = f"manifest:{manifest}"
    plain = unveil.evaluate(model, source, protocols=["market"])
    assert [(r.protocol, r.queries) for r in plain] == [("market", 6)] and 0 <= plain[0].mean_ap <= 1
    twice = unveil.evaluate(model, [source, source], protocols=["market"], rerank=True)
    assert len(twice) == 4 and twice[0].figures == plain[0].figures and twice[1].reranked
    with pytest.raises(ProtocolError, match="nonsense"):
        unveil.evaluate(model, source, protocols=["nonsense"])


def test_the_weights_of_the_package_are_the_default():
    found = unveil.load_model(device="cpu")
    assert len(unveil.embed(found, figure(0, 0, 0)).samples) == 1
