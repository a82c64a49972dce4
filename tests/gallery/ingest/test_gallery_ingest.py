"""Images into a real store, by a real model."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from ingested import rows, write_images
from PIL import Image

from generated import write_crops
from untrained import make_model
from unveil.data import prefetch
from unveil.data.readers.manifest import read_manifest
from unveil.errors import DataError
from unveil.gallery.grouping.group import group_gallery
from unveil.gallery.ingest.adding import mean_embedding
from unveil.gallery.ingest.images import ImageSettings, add_images
from unveil.gallery.ingest.scenes import add_scenes
from unveil.gallery.records import Filter
from unveil.inference.load import load_engine
from unveil.records import Sample
from unveil.video.records import Box
from waiting import on_warning


def test_every_image_is_there_once_with_its_own_vector(store, engine, tmp_path):
    samples = write_images(tmp_path / "a", 70)
    (tmp_path / "a" / "copy.png").write_bytes(samples[3].path.read_bytes())
    samples = [Sample(p.name, p) for p in sorted((tmp_path / "a").iterdir())]
    settings = ImageSettings("gate", 1.7e9, ("night",))
    added = add_images(store, "shop", engine=engine, samples=samples, source="a", settings=settings)
    assert (added.crops, added.known, added.tracklets, added.bad) == (70, 1, 0, ())
    found = rows(store, "shop")
    for sample in samples[:3]:
        item, embedding = found[hashlib.sha256(sample.path.read_bytes()).hexdigest()]
        assert (item.kind, item.camera, item.time, item.tags) == ("crop", "gate", 1.7e9, ("night",))
        assert item.source == str(sample.path)
        own = engine.embed([np.asarray(Image.open(sample.path))])
        assert np.allclose(embedding.vectors, own.vectors, atol=2e-3, rtol=2e-3)
        with Image.open(io.BytesIO(item.thumbnail)) as thumbnail:
            assert thumbnail.size == (32, 64)
    again = add_images(store, "shop", engine=engine, samples=samples, source="a", settings=settings)
    assert (again.crops, again.known) == (0, 71)
    more = write_images(tmp_path / "a", 75)
    assert add_images(store, "shop", engine=engine, samples=more, source="a", settings=settings).crops == 5


def test_what_a_manifest_knows_is_kept_and_tracklets_get_a_row(store, engine, tmp_path):
    manifest = write_crops(tmp_path, 4, 2)
    lines = manifest.read_text().splitlines()
    new = [lines[0] + ",tracklet,time,tags"]
    for number, line in enumerate(lines[1:]):
        camera = line.split(",")[2]
        new.append(f"{line},{'t' + line.split(',')[1] + camera if number >= 6 else ''},{number},wet; late")
    manifest.write_text("\n".join(new) + "\n")
    samples = read_manifest(manifest).samples
    added = add_images(store, "shop", engine=engine, samples=samples, settings=ImageSettings(start_time=1.7e9))
    assert added.crops == 24 and added.tracklets == 6
    crops = store.find("shop", Filter(rows="crop"), limit=100)
    whole = [i for i in store.find("shop", Filter(rows="tracklet"), limit=100) if i.kind == "tracklet"]
    assert len(crops) == 24 and len(whole) == 6 and sum(c.tracklet is None for c in crops) == 6
    for item in whole:
        members = [c for c in crops if c.tracklet == item.key]
        assert item.crops == len(members) == 3
        assert {m.camera for m in members} == {item.camera} and {m.person for m in members} == {item.person}
        assert (item.time, item.end) == (min(m.time for m in members), max(m.time for m in members))
        assert item.time >= 1.7e9 and item.tags == ("wet", "late")
        assert item.thumbnail == max(members, key=lambda m: m.quality).thumbnail
        _, own = store.embeddings("shop", [item.id])
        _, parts = store.embeddings("shop", [m.id for m in members])
        mean = mean_embedding(parts, np.array([m.quality for m in members]))
        assert np.allclose(own.vectors, mean.vectors, atol=3e-3)
    again = add_images(store, "shop", engine=engine, samples=samples, settings=ImageSettings(start_time=1.7e9))
    assert (again.crops, again.tracklets, again.known) == (0, 0, 24)


def test_the_parts_of_a_long_tracklet_do_not_overlap_in_time_whatever_the_order(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.gallery.ingest.images.LONGEST_TRACKLET", 8)
    samples = [
        replace(sample, camera="gate", tracklet="a", time=1.7e9 + (number * 7 % 24) // 3)
        for number, sample in enumerate(write_images(tmp_path, 24))
    ]
    assert add_images(store, "shop", engine=engine, samples=samples).tracklets == 3
    whole = [item for item in store.find("shop", Filter(rows="tracklet"), limit=100) if item.kind == "tracklet"]
    spans = sorted((item.time - 1.7e9, item.end - 1.7e9) for item in whole)
    assert spans == [(0, 2), (2, 5), (5, 7)]
    group_gallery(store, "shop", threshold=100.0)
    assert store.groups.state("shop").people == 1


def test_bad_files_are_named_and_the_rest_is_added(store, engine, tmp_path):
    samples = write_images(tmp_path, 5)
    whole = samples[0].path.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    Image.new("1", (20_000, 10_000)).save(tmp_path / "huge.png")  # 200 megapixels in 25 kB
    samples = [*(Sample(p.name, p) for p in sorted(tmp_path.iterdir())), Sample("gone", tmp_path / "gone.jpg")]
    added = add_images(store, "shop", engine=engine, samples=samples)
    assert added.crops == 5 and len(added.bad) == 5
    for name, reason in (
        ("cut", "truncated"),
        ("empty", "empty"),
        ("text", "not an image"),
        ("huge", "too large"),
        ("gone", "read"),
    ):
        assert any(name in line and reason in line for line in added.bad), name


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("scenes", [False, True])
def test_a_file_that_does_not_come_is_named_and_added_when_it_comes(store, engine, tmp_path, monkeypatch, scenes):
    monkeypatch.setattr(prefetch, "STALLED", 0.01)
    samples = write_images(tmp_path, 4)
    samples[2].path.write_bytes(b"text")
    late = samples[1].path.read_bytes()
    samples[1].path.unlink()
    os.mkfifo(samples[1].path)
    add = add_images
    if scenes:
        everybody = SimpleNamespace(detect=lambda image: [Box(0, 0, image.shape[1], image.shape[0], 1.0)])
        add = partial(add_scenes, detector=everybody)
    path = samples[1].path
    with on_warning(prefetch.log, 2, lambda: path.write_bytes(late), about=path) as records:
        added = add(store, "shop", engine=engine, samples=samples)
    assert [record.args[0] for record in records] == [path] * 2
    assert added.crops == 3 and len(added.bad) == 1 and str(samples[2].path) in added.bad[0]
    assert {item.source for item, _ in rows(store, "shop").values()} == {str(samples[k].path) for k in (0, 1, 3)}


def test_another_model_is_refused_before_anything_is_added(store, engine, tmp_path):
    samples = write_images(tmp_path / "p", 2)
    add_images(store, "shop", engine=engine, samples=samples[:1])
    other = load_engine(make_model(tmp_path, seed=1, height=64, width=32), "torch")
    with pytest.raises(DataError, match=f"{engine.fingerprint}.*{other.fingerprint}"):
        add_images(store, "shop", engine=other, samples=samples)
    assert store.info("shop").crops == 1
