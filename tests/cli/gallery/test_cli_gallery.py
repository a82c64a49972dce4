"""``unveil gallery`` on a real server, with a real model, real images and a real video."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from films import FigureDetector, breaking, write_boxes, write_film
from generated import figure, write_crops
from untrained import make_model
from unveil.cli import app
from unveil.cli.gallery.stores import duration, timestamp
from unveil.data.images import read_image
from unveil.errors import DataError


@pytest.fixture
def shop(gallery, model, tmp_path):
    """A gallery of 24 crops of 4 people from 2 cameras, in the year 2026."""
    manifest = write_crops(tmp_path / "crops", 4, 2)
    gallery("add", manifest, "--gallery", "shop", "--model", model, "--engine", "torch", "--no-parser",
            "--start-time", "2026-03-02T08:00", "--tag", "wet")  # fmt: skip
    return "shop"


def listed(gallery, tmp_path, *words) -> list[dict]:
    gallery("export", *words, tmp_path / "rows.json")
    return json.loads((tmp_path / "rows.json").read_text())


def test_images_and_a_video_of_one_folder(gallery, model, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        Image.fromarray(figure(number, 0, 0)).save(folder / f"{number}.png")
    (folder / "bad.png").write_bytes(b"no image")
    write_film(folder / "film.mp4", 40, 1)
    words = ("add", folder, "--gallery", "both", "--model", model, "--engine", "torch", "--no-parser", "--camera", "c1")
    boxes = ("--boxes", write_boxes(tmp_path / "boxes.csv", 40, 1))
    out, err = gallery(*words, *boxes, "--crops", 2, "--json", code=1)
    told = json.loads(out)
    assert (told["crops"], told["tracklets"], told["engine"]) == (7, 1, "torch")
    assert [a["crops"] for a in told["added"]] == [5, 2] and "bad.png" in err
    out, _ = gallery(*words, *boxes, "--crops", 2, code=1)
    assert "nothing new, 5 were there" in out and "both: 7 crops, 1 tracklets" in out
    out, _ = gallery("list", "--json")
    (info,) = json.loads(out)
    assert (info["name"], info["crops"], info["cameras"], info["calibrated"]) == ("both", 7, ["c1"], False)
    out, _ = gallery("stats", "both", "--json")
    stats = json.loads(out)
    assert stats["crops_of_camera"] == {"c1": 7} and stats["searched"] == {"c1": 6} and stats["dimension"] == 256
    out, _ = gallery("verify", "both")
    assert "sound" in out


def test_a_video_that_cannot_be_read_is_listed_and_the_others_are_added(gallery, model, server, tmp_path, monkeypatch):
    from unveil.gallery.store.opening import open_store

    monkeypatch.setattr("unveil.video.detectors.detect.load_detector", lambda path: FigureDetector())
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"no video")
    write_film(folder / "b.mp4", 40, 1)
    words = ("--gallery", "mixed", "--model", model, "--engine", "torch", "--no-parser", "--json")
    out, err = gallery("add", folder, *words, code=1)
    told = json.loads(out)
    assert told["tracklets"] == 1 and [len(one["bad"]) for one in told["added"]] == [1, 0]
    assert told["added"][0]["source"] == str(folder / "a.mp4") and "left out" in err and "a.mp4" in err
    # What is wrong with the whole command ends it: one video alone, other settings, another model.
    _, err = gallery("add", folder / "a.mp4", *words, code=2)
    assert "not a video that can be read" in err.replace("\n", " ")
    assert "use the same, or --again" in gallery("add", folder, *words, "--crops", 2, code=2)[1].replace("\n", " ")
    other = make_model(tmp_path, height=128, width=64)
    assert "use the gallery's model" in gallery("add", folder, *words, "--model", other, code=2)[1].replace("\n", " ")
    # Where not one can be read the gallery is there, and empty.
    (folder / "b.mp4").write_bytes(b"no video either")
    out, _ = gallery("add", folder, *words, "--gallery", "unread", code=1)
    assert json.loads(out)["crops"] == 0 and len(json.loads(out)["added"]) == 2
    store = open_store(server)
    states = [e["details"]["state"] for e in store.entries("unread") if e["action"] == "add"]
    store.close()
    assert states == ["begun", "failed"] * 2


def test_a_live_stream_is_opened_again_as_often_as_is_said(gallery, model, tmp_path):
    film = write_film(tmp_path / "live.ts", 30, 1)
    words = ("--gallery", "live", "--model", model, "--engine", "torch", "--no-parser", "--json", "--boxes")
    boxes = write_boxes(tmp_path / "boxes.csv", 60, 1)
    with breaking(film, 2) as address:
        (once,) = json.loads(gallery("add", address, "--tries", 0, *words, boxes)[0])["added"]
    with breaking(film, 2) as address:
        out, err = gallery("add", address, "--tries", 1, *words, boxes, code=1)
    (again,) = json.loads(out)["added"]
    assert (once["reopened"], again["reopened"], once["bad"]) == (0, 1, [])
    assert "in vain: 1" in err


def test_the_log_says_that_rows_went_when_a_video_is_added_again(gallery, model, server, tmp_path, monkeypatch):
    from unveil.gallery.store.opening import open_store

    film, boxes = write_film(tmp_path / "f.mp4", 70, 1, 60), write_boxes(tmp_path / "b.csv", 70, 1, 60)
    words = (film, "--gallery", "v", "--model", model, "--engine", "torch", "--no-parser", "--boxes", boxes)
    gallery("add", *words)
    (added,) = json.loads(gallery("add", *words, "--again", "--json")[0])["added"]
    assert (added["tracklets"], added["crops"], added["removed"]) == (1, 4, 5)

    def fails(*_: object) -> None:
        raise DataError("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr("unveil.gallery.ingest.video_pass.VideoPass.run", fails)
        gallery("add", *words, "--again", code=2)
    store = open_store(server)
    told = [entry["details"] for entry in store.entries("v") if entry["action"] == "add"]
    store.close()
    assert [(d["state"], d.get("again"), d.get("removed")) for d in told] == [
        ("begun", None, None), ("done", None, 0), ("begun", True, None), ("done", True, 5), ("begun", True, None),
        ("failed", True, None),
    ]  # fmt: skip


def test_export_lists_every_row_and_blurs_faces_unless_told(gallery, shop, tmp_path):
    gallery("export", shop, tmp_path / "rows.csv", "--images", tmp_path / "blurred")
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    assert len(rows) == 24 and {r["person"] for r in rows} == {"p00", "p01", "p02", "p03"}
    assert {r["tags"] for r in rows} == {"wet"} and all(float(r["time"]) == 1772438400 for r in rows)
    gallery("export", shop, tmp_path / "rows.json", "--images", tmp_path / "faces", "--faces")
    told = json.loads((tmp_path / "rows.json").read_text())
    assert [str(r["id"]) for r in told] == [r["id"] for r in rows]
    assert len(list((tmp_path / "faces").iterdir())) == len(list((tmp_path / "blurred").iterdir())) == 24
    gallery("export", shop, tmp_path / "x.txt", code=2)


def test_images_are_blurred_unless_told(gallery, model, tmp_path):
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (128, 64, 3), np.uint8)).save(tmp_path / "a.png")
    gallery("add", tmp_path / "a.png", "--gallery", "n", "--model", model, "--engine", "torch", "--no-parser")
    pictures = []
    for folder, more in (("blurred", ()), ("faces", ("--faces",))):
        gallery("export", "n", tmp_path / "rows.json", "--images", tmp_path / folder, *more)
        (path,) = (tmp_path / folder).iterdir()
        assert json.loads((tmp_path / "rows.json").read_text())[0]["image"] == f"{folder}/{path.name}"
        pictures.append(read_image(path).astype(int))
    assert np.abs(pictures[0] - pictures[1])[:64].max() > 60, "noise is gone somewhere in the upper half"


def test_a_text_of_the_source_is_no_formula_in_a_spreadsheet(gallery, model, tmp_path):
    Image.fromarray(figure(1, 0, 0)).save(tmp_path / "a.png")
    gallery("add", tmp_path / "a.png", "--gallery", "f", "--model", model, "--engine", "torch", "--no-parser",
            "--camera", "=1+1")  # fmt: skip
    gallery("export", "f", tmp_path / "rows.csv")
    assert next(csv.DictReader((tmp_path / "rows.csv").open()))["camera"] == "'=1+1"


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (("--person", "p00"), 18),
        (("--person", "p00", "--person", "p01"), 12),
        (("--camera", "c1"), 12),
        (("--person", "p00", "--camera", "c1"), 21),
        (("--from", "2026-03-02T07:00", "--to", "2026-03-02T09:00"), 0),
        (("--to", "2026-03-02T07:59:59"), 24),
        (("--tag", "wet"), 0),
        (("--tag", "dry"), 24),
    ],
)
def test_deletion_takes_what_was_said_and_nothing_else(gallery, shop, tmp_path, words, left):
    before = listed(gallery, tmp_path, shop)
    out, _ = gallery("delete", shop, *words, "--yes", "--json")
    assert json.loads(out)["deleted"] == 24 - left
    after = listed(gallery, tmp_path, shop)
    assert len(after) == left and [r for r in before if r in after] == after


def test_deletion_by_row_takes_a_tracklet_with_its_crops_and_a_crop_with_its_tracklet(gallery, model, tmp_path):
    film, boxes = write_film(tmp_path / "f.mp4", 100, 2, 60), write_boxes(tmp_path / "b.csv", 100, 2, 60)
    gallery("add", film, "--gallery", "v", "--model", model, "--engine", "torch", "--no-parser", "--boxes", boxes)
    rows = listed(gallery, tmp_path, "v")
    whole = [r for r in rows if r["kind"] == "tracklet"]
    gallery("delete", "v", "--id", whole[0]["id"], "--yes")
    after = listed(gallery, tmp_path, "v")
    assert len(whole) == 2 and {r["tracklet"] for r in after if r["kind"] == "crop"} == {whole[1]["key"]}
    crop = next(r for r in after if r["kind"] == "crop")
    gallery("delete", "v", "--id", crop["id"], "--yes")
    left = listed(gallery, tmp_path, "v")
    # What was made of that crop is gone as well, the other crops of the tracklet are not.
    assert len(left) == len(after) - 2 and all((r["kind"], r["tracklet"]) == ("crop", None) for r in left)
    gallery("verify", "v")
    gallery("delete", "v", "--all", "--yes")
    out, _ = gallery("list", "--json")
    assert json.loads(out) == []


def _said(answer: str | BaseException) -> str:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def test_deletion_asks_first_and_is_noted(gallery, shop, server, monkeypatch):
    from unveil.gallery.store.opening import open_store

    _, err = gallery("delete", shop, code=2)
    assert "say what to delete" in err
    _, err = gallery("delete", shop, "--camera", "c1", "--all", "--yes", code=2)
    assert "say what to delete" in err
    _, err = gallery("delete", shop, "--camera", "c1", code=2)
    assert "12 rows" in err and "--yes" in err
    answers = iter(["n", "", KeyboardInterrupt(), EOFError(), "y"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(f"{typer.confirm.__module__}.visible_prompt_func", lambda _: _said(next(answers)))
    for code in (2, 2, 130, 2):
        _, err = gallery("delete", shop, "--camera", "c1", code=code)
        assert code == 130 or "nothing was deleted" in err
    gallery("delete", shop, "--camera", "c1", "--why", "asked by the shop")
    store = open_store(server)
    begun, ended = list(store.entries(shop))[-2:]
    assert store.info(shop).crops == 12
    store.close()
    assert {(entry["action"], entry["why"]) for entry in (begun, ended)} == {("delete", "asked by the shop")}
    meant = {"where": {"cameras": ["c1"]}, "rows": 12}
    assert begun["details"] == {**meant, "state": "begun"}
    assert ended["details"] == {**meant, "deleted": 12, "state": "done", "begun": begun["hash"]}


def test_rows_expire_after_the_time_that_was_set(gallery, shop, tmp_path):
    _, err = gallery("expire", shop, code=2)
    assert "--retention" in err
    gallery("expire", shop, "--retention", "100000d")
    out, _ = gallery("expire", shop, "--json")
    assert json.loads(out)["expired"] == 0
    gallery("expire", shop, "--retention", "1d")
    assert len(listed(gallery, tmp_path, shop)) == 24, "setting it removes nothing"
    _, err = gallery("expire", shop, code=2)
    assert "24 of the 24 rows" in err and "more than 50%" in err and "clock" in err
    assert len(listed(gallery, tmp_path, shop)) == 24, "a wrong clock removes nothing"
    out, _ = gallery("expire", shop, "--at-most", 1, "--json")
    assert json.loads(out)["expired"] == 24


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("stats", "shpo"), "shop"),
        (("add", "absent.mp4", "--gallery", "g", "--model", "M"), "no such video"),
        (("add", "absent", "--gallery", "g", "--model", "M"), "neither a file"),
        (("add", "a.mp4", "--gallery", "g", "--model", "absent"), "no model at"),
        (("add", "a.mp4", "--gallery", "g", "--model", "M", "--every", 2, "--fps", 3), "not both"),
        (("add", "a.mp4", "--gallery", "g", "--model", "M", "--boxes", "b", "--detector", "d"), "not both"),
        (("add", "a.mp4", "--gallery", "g", "--model", "M", "--start-time", "noon"), "--start-time"),
        (("add", "a.mp4", "--gallery", "g", "--model", "M", "--retention", "long"), "90d"),
        (
            ("add", "a.mp4", "--gallery", "bad name!", "--model", "M", "--boxes", "B", "--engine", "torch"),
            "letters, digits",
        ),
        (("delete", "shop", "--from", "tomorrow"), "--from"),
    ],
)
def test_wrong_input_is_one_message(gallery, shop, model, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    write_film(tmp_path / "a.mp4", 5)
    boxes = write_boxes(tmp_path / "boxes.csv", 5)
    _, err = gallery(*({"M": model, "B": boxes}.get(w, w) for w in words), code=2)
    assert message in err.replace("\n", " ") and "Traceback" not in err


def test_a_gallery_is_calibrated_on_its_own_labels(gallery, model, tmp_path):
    manifest = write_crops(tmp_path / "crops", 12, 6)
    gallery("add", manifest, "--gallery", "shop", "--model", model, "--engine", "torch", "--no-parser")
    _, err = gallery("calibrate", "shop", "--pairs", tmp_path / "absent.csv", code=2)
    assert "absent.csv" in err
    # An untrained network knows nobody on another camera: no probabilities are made up from that.
    _, err = gallery("calibrate", "shop", "--mode", "same", "--curve", "logistic", code=2)
    assert "the calibration is refused" in err and "Brier score" in err
    out, _ = gallery("list", "--json")
    assert json.loads(out)[0]["calibrated"] is False


def test_a_gallery_is_calibrated_on_a_list_of_pairs(gallery, model, tmp_path):
    manifest = write_crops(tmp_path / "crops", 12, 6)
    gallery("add", manifest, "--gallery", "shop", "--model", model, "--engine", "torch", "--no-parser")
    pairs = tmp_path / "pairs.csv"
    images = manifest.parent / "images"
    with pairs.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("a", "b", "same"))
        for person in range(12):
            for camera in range(2):
                own = [images / f"p{person:02d}_c{camera}_{shot}.png" for shot in range(3)]
                other = images / f"p{(person + 1) % 12:02d}_c{camera}_0.png"
                writer.writerows([(own[0], own[1], 1), (own[1], own[2], 1), (own[0], other, 0), (own[1], other, 0)])
    out, _ = gallery("calibrate", "shop", "--pairs", pairs, "--mode", "same", "--curve", "logistic", "--json")
    told = json.loads(out)["same"]
    assert told["kind"] == "logistic" and told["pairs"] == 96 and told["threshold"] > 0
    assert told["check"]["brier"] < told["check"]["constant"] and len(told["check"]["reliability"]) == 10
    out, _ = gallery("list", "--json")
    assert json.loads(out)[0]["calibrated"] is True


def test_times_and_lengths_in_words():
    assert (
        timestamp("2026-03-02T08:00", "x") == 1772438400
        and timestamp("12.5", "x") == 12.5
        and timestamp(None, "x") is None
    )
    assert timestamp("2026-03-02T08:00+01:00", "x") == 1772438400 - 3600
    assert (duration("90d"), duration("12h"), duration("1.5m"), duration("forever")) == (7776000, 43200, 90, None)
    for text in ("", "90", "d", "-3d", "0d", "nan"):
        with pytest.raises(DataError, match="90d"):
            duration(text)


def test_an_index_is_built_from_as_many_rows_on_as_is_said(gallery, shop, server):
    import psycopg

    def indexes() -> int:
        with psycopg.connect(server) as connection:
            built = connection.execute("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%USING hnsw%'").fetchone()
        return built[0]

    before = indexes()
    out, _ = gallery("index", shop)
    assert "24 rows are too few" in out and "300000" in out and "--least 1" in out
    out, _ = gallery("index", shop, "--least", 25, "--json")
    told = json.loads(out)
    assert (told["rows"], told["least"], told["indexed"], indexes()) == (24, 25, False, before)
    out, _ = gallery("index", shop, "--least", 1)
    assert "24 rows have an index" in out and indexes() > before
    built = indexes()
    out, _ = gallery("index", shop, "--least", 24, "--json")
    assert json.loads(out)["indexed"] is True and indexes() == built
    _, err = gallery("index", "shpo", code=2)
    assert "shop" in err
    gallery("index", shop, "--least", 0, code=2)


def test_every_command_has_help_with_an_example():
    for command in ("add", "list", "stats", "delete", "expire", "export", "verify", "calibrate", "index"):
        told = CliRunner().invoke(app, ["gallery", command, "--help"])
        assert told.exit_code == 0 and f"unveil gallery {command}" in " ".join(told.stdout.split())
