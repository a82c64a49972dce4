"""A gallery learns from its own rows: on a real server, by the command, with real kills, and undone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra adapt is not installed")

from tracked import write_tracklets

from external import write_external
from own_postgres import NewDatabase
from untrained import make_model
from unveil.adaptation.clusters import STATE
from unveil.adaptation.gallery_crops import gallery_crops
from unveil.adaptation.gallery_job import IMAGES
from unveil.cli import main
from unveil.data.images import read_image
from unveil.gallery.records import Filter
from unveil.gallery.store.opening import open_store
from unveil.inference.load import load_engine

PEOPLE = 24
SHORT = ("--epochs", 2, "--neighbours", 3, "--held-out", 0.4, "--keep-worse", "--device", "cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("base"), height=64, width=32)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_tracklets(tmp_path_factory.mktemp("crops"), people=PEOPLE)


@pytest.fixture(scope="session")
def server(new_database: NewDatabase) -> str:
    """Address of a store for the tests of this file."""
    return new_database(True)


@pytest.fixture
def command(server, monkeypatch, capsys):
    """Return a function that runs ``unveil`` on the session's server; galleries are gone afterwards."""

    def run(*words: object, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr("sys.argv", ["unveil", "--quiet", *map(str, words), "--store", server])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert (end.value.code or 0) == code, out + err
        return out, err

    yield run
    store = open_store(server)
    for info in store.galleries():
        store.drop(info.name)
    store.close()


@pytest.fixture
def store(server):
    found = open_store(server)
    yield found
    found.close()


@pytest.fixture
def shop(command, base, manifest):
    """A gallery of 192 crops in 48 tracklets; two people at a time are before each of two cameras."""
    command("gallery", "add", manifest, "--gallery", "shop", "--model", base, "--engine", "torch", "--no-parser",
            "--start-time", "2026-03-02T08:00")  # fmt: skip
    return "shop"


def vectors(store, name="shop"):
    ids, found = store.embeddings(name, store.ids(name, Filter()))
    return dict(zip(ids.tolist(), found.vectors, strict=True))


def alike(one, other):
    return all(np.allclose(one[number], other[number], atol=2e-3, rtol=2e-3) for number in one | other)


def actions(store, since=0):
    kept = [entry for entry in store.entries("shop") if entry["number"] > since]
    return [(entry["action"], entry["details"]["state"]) for entry in kept]


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
    assert "holds embeddings of model" in refused
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


SLOWLY = """
    import sys
    from unveil.cli import main
    from unveil.gallery.store.postgresql.store import PostgresStore

    fill = PostgresStore.fill_standby

    def told(self, *words, **options):
        count = fill(self, *words, **options)
        print("filled", count, flush=True)
        sys.stdin.readline()
        return count

    PostgresStore.fill_standby = told
    sys.argv = ["unveil", "--quiet", *sys.argv[1:]]
    main()
"""


def test_killed_while_rows_are_embedded_it_resumes_with_the_rows_that_are_there_then(
    command, shop, store, base, manifest, server, tmp_path
):
    out = tmp_path / "out"
    words = [*map(str, ("gallery", "adapt", shop, "--model", base, "--out", out, *SHORT, "--stages", "statistics")),
             "--store", server]  # fmt: skip
    before = vectors(store)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOWLY), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout.readline() == "filled 64\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "filled 64\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert alike(vectors(store), before) and "being made" in command("gallery", "stats", shop, "--json")[0]
    model = (out / "model.safetensors").read_bytes()
    # Meanwhile somebody goes, with vectors made and not, and somebody comes.
    done = [item.id for item in store.find(shop, Filter(rows="crop"), limit=1000)]
    store.delete(shop, Filter(ids=(done[0], done[-1])))
    more = write_tracklets(tmp_path / "more", people=PEOPLE + 2)
    command("gallery", "add", more, "--gallery", shop, "--model", base, "--engine", "torch", "--no-parser")
    there = set(store.ids(shop, Filter()).tolist())
    since = store.head()[0]
    command(*words[:-2])
    assert (out / "model.safetensors").read_bytes() == model
    after = vectors(store)
    assert after.keys() == there and done[0] not in after and store.verify(shop) == []
    assert actions(store, since)[-2:] == [("switch model", "begun"), ("switch model", "done")]
    assert [m.removed for m in store.derived(shop)] == [2]
    command("gallery", "adapt", shop, "--undo")
    command("gallery", "adapt", shop, "--model", base, "--out", out)  # from the kept vectors, nothing is made anew
    assert alike(vectors(store), after)


def test_killed_while_it_learns_it_resumes_to_the_same_weights_or_begins_anew_without_who_was_deleted(
    command, shop, store, base, server, tmp_path
):
    def adapt_command(name):
        words = ("gallery", "adapt", shop, "--model", base, "--out", tmp_path / name, *SHORT, "--epochs", 3)
        return [sys.executable, "-m", "unveil", *map(str, words), "--store", server]

    def killed_after_an_epoch(name):
        process = subprocess.Popen(adapt_command(name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        state, end = tmp_path / name / STATE, time.monotonic() + 600
        while not state.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert state.exists() and not (tmp_path / name / "model.safetensors").exists()

    before = vectors(store)
    killed_after_an_epoch("killed")
    assert alike(vectors(store), before) and actions(store)[-1] == ("adapt", "begun")
    said = subprocess.run(adapt_command("killed"), check=True, capture_output=True, text=True)
    assert "resuming after epoch" in said.stderr
    killed = store.info(shop).space.fingerprint
    command("gallery", "adapt", shop, "--undo")
    command("gallery", "adapt", shop, "--remove-old")
    subprocess.run(adapt_command("whole"), check=True, capture_output=True)
    assert store.info(shop).space.fingerprint == killed
    command("gallery", "adapt", shop, "--undo")
    command("gallery", "adapt", shop, "--remove-old")
    killed_after_an_epoch("deleted")
    gone = store.find(shop, Filter(rows="crop"), limit=1)[0].id
    store.delete(shop, Filter(ids=(gone,)))
    said = subprocess.run(adapt_command("deleted"), check=True, capture_output=True, text=True)
    assert "it begins anew" in " ".join(said.stderr.split()) and store.info(shop).space.fingerprint != killed
    assert {m.crops for m in store.derived(shop)} == {8 * PEOPLE, 8 * PEOPLE - 1}


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
