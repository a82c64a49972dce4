"""What of a gallery's rows is learnt from: crops on which somebody is, their times, and feedback on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="the extra adapt is not installed")

from shop import SHORT, actions, alike, vectors
from tracked import PEOPLE

from unveil.adaptation.gallery.crops import gallery_crops
from unveil.adaptation.gallery.job import IMAGES, decoded_images
from unveil.errors import UnveilError
from unveil.gallery.records import Filter


def test_feedback_of_a_gallery_becomes_links_of_crops(command, shop, store):
    whole = store.find(shop, Filter(rows="tracklet"), limit=4)
    crop = store.find(shop, Filter(rows="crop"), limit=1)[0]
    for item, same in ((whole[0], True), (whole[1], True), (whole[2], False), (crop, True)):
        store.feedback.give(shop, "q" * 16, item=item.id, same=same, who="anna")
    found = gallery_crops(store, shop)
    of = {item.key: item.tracklet for item in found.dataset.samples}
    said = {(of[p.a.partition("/")[2]], of[p.b.partition("/")[2]], p.same) for p in found.feedback}
    assert (whole[0].key, whole[1].key, True) in said and (whole[0].key, whole[2].key, False) in said
    assert {p.search for p in found.feedback} == {"q" * 16} and len(found.feedback) == 3 + 3


def test_times_of_two_recordings_do_not_coincide(command, base, store, tmp_path):
    """Two films that count from 0: who is on one at 3 s need not be another person than who is on the other at 3 s."""
    from films import write_boxes, write_film

    for name in ("a", "b"):
        write_film(tmp_path / f"{name}.mp4", 40, 1)
        (tmp_path / f"{name}.mp4").write_bytes((tmp_path / f"{name}.mp4").read_bytes() + name.encode())
        command("gallery", "add", tmp_path / f"{name}.mp4", "--gallery", "films", "--model", base, "--engine", "torch",
                "--no-parser", "--camera", "c1", "--boxes", write_boxes(tmp_path / "boxes.csv", 40, 1))  # fmt: skip
    crops = gallery_crops(store, "films").dataset.samples
    spans = {}
    for sample in crops:
        spans.setdefault(sample.tracklet, []).append(sample.time)
    (a, b) = ((min(times), max(times)) for times in spans.values())
    assert a[1] < b[0] or b[1] < a[0]


def test_crops_of_a_gallery_on_which_the_parser_saw_nobody_are_left_out(command, shop, store):
    import psycopg

    first = store.find(shop, Filter(rows="crop"), limit=1)[0].id
    with psycopg.connect(store._connections._dsn, options="-c search_path=unveil,public") as connection:
        connection.execute("UPDATE items SET visible = 0 WHERE id = %s", (first,))
    keys = {sample.key for sample in gallery_crops(store, shop).dataset.samples}
    assert len(keys) == 8 * PEOPLE - 1 and str(first) not in keys


def test_unveil_adapt_takes_a_gallery_and_leaves_it_as_it_is(command, shop, store, base, tmp_path):
    out = tmp_path / "out"
    before = vectors(store)
    command("adapt", base, f"gallery:{shop}", "--out", out, *SHORT, "--stages", "statistics")
    assert alike(vectors(store), before) and not (out / IMAGES).exists()
    card = json.loads((out / "model.json").read_text())
    assert card["adaptation"]["galleries"] == [shop]
    assert [m.fingerprint for m in store.derived(shop)] == [card["fingerprint"]]
    assert actions(store)[-2:] == [("adapt", "begun"), ("adapt", "done")]
    assert not list(Path(out).rglob("*.npy"))


def test_a_second_adaptation_in_a_folder_leaves_the_images_of_the_first_alone(tmp_path):
    with decoded_images(tmp_path / "out", None, of_gallery=True) as images:
        images.mkdir()
        second = decoded_images(tmp_path / "out", None, of_gallery=True)
        with pytest.raises(UnveilError, match="another process writes into"), second:
            pass
        assert images.is_dir()
    assert not images.exists()
