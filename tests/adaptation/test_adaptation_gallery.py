"""A gallery learns from its own rows: on a real server, by the command, with real kills, and undone."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra adapt is not installed")

from shop import SHORT, actions, alike, vectors
from tracked import PEOPLE, write_tracklets

from external import write_external
from untrained import make_model
from unveil.adaptation.gallery.job import IMAGES
from unveil.data.images import read_image
from unveil.gallery.records import Filter
from unveil.inference.load import load_engine


def test_a_gallery_is_adapted_switched_undone_and_cleared(command, shop, store, base, tmp_path):
    out = tmp_path / "out"
    words = ("gallery", "adapt", shop, "--model", base, "--out", out)
    before, since = vectors(store), store.head()[0]
    store.set_calibration(shop, {"format": 1, "fingerprint": store.info(shop).space.fingerprint, "modes": {}})
    told = json.loads(command(*words, *SHORT, "--why", "new cameras", "--json")[0])
    info = store.info(shop)
    assert info.space.fingerprint == told["model"] != info.standby.space.fingerprint
    assert info.space.source == told["weights"] == str(out / "model.safetensors")
    after = vectors(store)
    assert after.keys() == before.keys() and not alike(before, after) and store.verify(shop) == []
    assert actions(store, since) == [("adapt", "begun"), ("adapt", "done"), ("switch model", "begun"),
                                     ("switch model", "done")]  # fmt: skip
    entries = [entry for entry in store.entries(shop) if entry["number"] > since]
    assert {entry["why"] for entry in entries} == {"new cameras"}
    assert entries[1]["details"]["adapted"] == told["model"] and entries[1]["details"]["crops"] == 8 * PEOPLE
    card = json.loads((out / "model.json").read_text())["adaptation"]
    assert card["galleries"] == [shop] and card["cameras"] == ["c0", "c1"]
    assert told["evaluation"]["tracklets"] == round(0.4 * 2 * PEOPLE)
    assert not (out / IMAGES).exists()  # no image of anybody is left outside of the store
    stats = json.loads(command("gallery", "stats", shop, "--json")[0])
    assert stats["calibration_out_of_date"] and not stats["calibrated"] and "kept" in stats["second_model"]
    assert f"{8 * PEOPLE} crops, 0 of them deleted" in stats["models_adapted_to_it"][0]
    assert "already" in command(*words)[0]
    assert (
        "keeps the vectors" in command("gallery", "adapt", shop, "--model", out, "--out", tmp_path / "new", code=2)[1]
    )
    command("gallery", "adapt", shop, "--undo")
    assert alike(vectors(store), before) and store.info(shop).space.fingerprint != told["model"]
    assert not json.loads(command("gallery", "stats", shop, "--json")[0])["calibration_out_of_date"]
    command("gallery", "adapt", shop, "--remove-old")
    assert store.info(shop).standby is None and alike(vectors(store), before)
    assert actions(store, entries[-1]["number"]) == [
        ("adapt", "begun"), ("adapt", "done"), ("adapt", "begun"), ("adapt", "failed"), ("switch model", "begun"),
        ("switch model", "done"), ("remove old model", "begun"), ("remove old model", "done"),
    ]  # fmt: skip
    assert "nothing to undo" in command("gallery", "adapt", shop, "--undo", code=2)[1]
    assert "nothing to remove" in command("gallery", "adapt", shop, "--remove-old", code=2)[1]


def expected(store, model, name="shop", kind="torch"):
    """Vectors of the crops of a gallery, by id, made of its thumbnails with the statistics of their cameras."""
    items = store.find(name, Filter(rows="crop"), limit=1000)
    images = [read_image(item.thumbnail) for item in items]
    found = load_engine(model, kind).embed(images, cameras=[item.camera for item in items])
    return dict(zip([item.id for item in items], found.vectors, strict=True))


def test_rows_are_embedded_with_the_statistics_of_their_cameras(command, shop, store, base, tmp_path):
    out = tmp_path / "out"
    command("gallery", "adapt", shop, "--model", base, "--out", out, *SHORT, "--stages", "statistics")
    crops, made = expected(store, out), vectors(store)
    assert alike({n: made[n] for n in crops}, crops)
    together = load_engine(out).embed(
        [read_image(item.thumbnail) for item in store.find(shop, Filter(rows="crop"), limit=9)]
    )
    assert not np.allclose(together.vectors, [made[n] for n in list(crops)[:9]], atol=2e-3)
    for item in store.find(shop, Filter(rows="tracklet"), limit=3):
        own = [c for c in store.find(shop, Filter(rows="crop"), limit=1000) if c.tracklet == item.key]
        units = np.stack([crops[c.id] / np.linalg.norm(crops[c.id]) for c in own])
        mean = np.average(units, axis=0, weights=[max(c.quality, 1e-3) for c in own])
        np.testing.assert_allclose(made[item.id], mean, atol=2e-3)


def test_deletion_of_people_is_recorded_against_the_model(command, shop, store, base, tmp_path):
    command("gallery", "adapt", shop, "--model", base, "--out", tmp_path / "out", *SHORT, "--stages", "statistics")
    fingerprint = store.info(shop).space.fingerprint
    first = store.find(shop, Filter(rows="crop"), limit=3)
    _, err = command("gallery", "delete", shop, "--id", first[0].id, "--id", first[1].id, "--yes")
    assert fingerprint in err and "docs/operator.md" in err
    assert [m.removed for m in store.derived(shop)] == [2]
    assert list(store.entries(shop))[-1]["details"]["learnt_by"] == [fingerprint]


def test_rows_added_and_deleted_after_the_switch_are_right_after_undo(command, shop, store, base, tmp_path):
    out = tmp_path / "out"
    before = vectors(store)
    command("gallery", "adapt", shop, "--model", base, "--out", out, *SHORT, "--stages", "statistics")
    more = write_tracklets(tmp_path / "more", people=PEOPLE + 2)
    refused = command("gallery", "add", more, "--gallery", shop, "--model", base, "--no-parser", code=2)[1]
    assert "use the gallery's model" in refused
    command(
        "gallery", "add", more, "--gallery", shop, "--model", out, "--no-parser", "--start-time", "2026-03-02T08:00"
    )
    gone = [item.id for item in store.find(shop, Filter(rows="crop"), limit=2)]
    store.delete(shop, Filter(ids=tuple(gone)))
    there = set(store.ids(shop, Filter()).tolist())
    command("gallery", "adapt", shop, "--undo")
    after = vectors(store)
    assert after.keys() == there and len(there - before.keys()) == 2 * 2 * 5 and store.verify(shop) == []
    assert alike({n: v for n, v in after.items() if n in before}, {n: v for n, v in before.items() if n in after})
    added = {n: vector for n, vector in expected(store, base).items() if n not in before}
    assert len(added) == 16 and alike({n: after[n] for n in added}, added)


def test_a_model_that_got_worse_leaves_the_gallery_as_it_was(command, shop, store, base, monkeypatch, tmp_path):
    import unveil.adaptation.acceptance as module

    monkeypatch.setattr(module, "is_worse", lambda figures: True)
    before, space = vectors(store), store.info(shop).space
    words = [word for word in SHORT if word != "--keep-worse"]
    _, err = command("gallery", "adapt", shop, "--model", base, "--out", tmp_path / "out", *words,
                     "--stages", "statistics", code=2)  # fmt: skip
    assert "is worse" in err and store.info(shop).space == space and alike(vectors(store), before)
    assert actions(store)[-2:] == [("adapt", "begun"), ("adapt", "failed")] and store.derived(shop) == []


def test_a_gallery_of_another_projects_model_learns_the_means_of_its_cameras(command, store, manifest, tmp_path):
    model, out = write_external(tmp_path), tmp_path / "out"
    command("gallery", "add", manifest, "--gallery", "other", "--model", model, "--no-parser",
            "--start-time", "2026-03-02T08:00")  # fmt: skip
    before = vectors(store, "other")
    command("gallery", "adapt", "other", "--model", model, "--out", out, "--held-out", 0.4, "--keep-worse")
    space = store.info("other").space
    assert space.fingerprint == load_engine(out).fingerprint and not alike(vectors(store, "other"), before)
    image = next(manifest.parent.glob("images/*.png"))
    found, _ = command("search", image, "other", "--model", out, "--json", "--skip-person-check")
    assert json.loads(found)["hits"]
    assert "already" in command("gallery", "adapt", "other", "--model", model, "--out", out, "--keep-worse")[0]
    command("gallery", "adapt", "other", "--undo")
    assert alike(vectors(store, "other"), before)


def test_another_model_than_the_gallerys_is_refused(command, shop, tmp_path):
    other = make_model(tmp_path / "other", seed=5, height=64, width=32)
    _, err = command("gallery", "adapt", shop, "--model", other, "--out", tmp_path / "out", *SHORT, code=2)
    assert "name its own weights with --model" in err
