"""Images of scenes in ``unveil gallery add``: people are found on them; options that would do nothing are errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from films import box_at, walk_frame, write_boxes, write_film
from generated import figure
from unveil.gallery.ingest.images import is_wide
from unveil.gallery.records import Filter, Item
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.protocol import all_items

PEOPLE = 2
NUMBERS = (14, 40)  # frames with one and with two people in sight


def items(address: str, name: str) -> list[Item]:
    store = open_store(address)
    try:
        return list(all_items(store, name, where=Filter()))
    finally:
        store.close()


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    for number in NUMBERS:
        Image.fromarray(walk_frame(number, PEOPLE)).save(folder / f"cam_{number}.png")
    return folder


def boxes_by_name(path: Path, folder: str = "") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "x", "y", "width", "height", "person"))
        for number in NUMBERS:
            for person in range(PEOPLE):
                box = box_at(person, number)
                if box:
                    writer.writerow((f"{folder}cam_{number}.png", *box, f"p{person}"))
    return path


def test_boxes_find_people_on_images(gallery, model, scenes, tmp_path, server):
    words = ("add", scenes, "--gallery", "s", "--model", model, "--engine", "torch", "--no-parser", "--camera", "c")
    boxes = boxes_by_name(tmp_path / "boxes.csv", "scenes\\")
    out, err = gallery(*words, "--boxes", boxes, "--json")
    told = json.loads(out)
    expected = [box for number in NUMBERS for person in range(PEOPLE) if (box := box_at(person, number))]
    assert told["added"][0]["boxes"] == len(expected) == told["crops"] and "warning" not in err
    rows = items(server, "s")
    assert sorted(row.box for row in rows) == sorted(expected)
    assert {row.person for row in rows} == {"p0", "p1"} and {row.camera for row in rows} == {"c"}
    out, _ = gallery(*words, "--boxes", boxes, "--json")
    again = json.loads(out)["added"][0]
    assert (again["crops"], again["known"]) == (0, len(expected)), "the same people are not added twice"


def test_boxes_by_number_count_through_the_images(gallery, model, scenes, tmp_path, server):
    table = tmp_path / "det.txt"
    table.write_text("1,-1,10,10,24,60,0.9\n2,-1,20,12,24,60,0.8\n2,-1,90,12,24,60,0.7\n")
    out, _ = gallery("add", scenes, "--gallery", "s", "--model", model, "--engine", "torch", "--no-parser",
                     "--boxes", table, "--json")  # fmt: skip
    assert json.loads(out)["crops"] == 3
    assert sorted((Path(row.source).name, row.box) for row in items(server, "s")) == [
        ("cam_14.png", (10, 10, 24, 60)), ("cam_40.png", (20, 12, 24, 60)), ("cam_40.png", (90, 12, 24, 60)),
    ]  # fmt: skip


def test_a_wide_image_without_a_detector_is_a_warning(gallery, model, scenes):
    Image.fromarray(figure(0, 0, 0)).save(scenes / "crop.png")
    out, err = gallery("add", scenes, "--gallery", "s", "--model", model, "--engine", "torch", "--no-parser")
    assert "3 crops added" in out
    said = " ".join(err.split())
    assert "warning: 2 images are wider than people are, for example" in said and "--detector or --boxes" in said


def test_a_detector_looks_at_images(gallery, model, scenes, tmp_path, server):
    """A graph whose one box is a constant: whatever the image, somebody stands there."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    values = {"boxes": np.array([[40, 8, 64, 68]], np.float32), "labels": np.array([0]), "scores": np.array([0.9], "f")}
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)) for name, array in values.items()
    ]
    kinds = {"boxes": TensorProto.FLOAT, "labels": TensorProto.INT64, "scores": TensorProto.FLOAT}
    outputs = [helper.make_tensor_value_info(n, kinds[n], values[n].shape) for n in values]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 96, 160))
    graph = helper.make_graph(nodes, "g", [image], outputs)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opset), tmp_path / "d.onnx")
    card = {"model": "d.onnx", "decoder": "ready", "width": 160, "height": 96, "licence": "CC0-1.0", "person": [0]}
    (tmp_path / "d.json").write_text(json.dumps(card))
    out, _ = gallery("add", scenes, "--gallery", "s", "--model", model, "--engine", "torch", "--no-parser",
                     "--detector", tmp_path / "d.json", "--json")  # fmt: skip
    assert json.loads(out)["crops"] == 2
    assert {row.box for row in items(server, "s")} == {(40, 8, 24, 60)}
    missing = tmp_path / "absent.json"
    _, err = gallery("add", scenes, "--gallery", "s", "--model", model, "--detector", missing, code=2)
    assert "absent.json" in err


def test_numbered_images_are_a_video(gallery, model, tmp_path):
    folder = tmp_path / "MOT" / "img1"
    folder.mkdir(parents=True)
    for number in range(40):
        Image.fromarray(walk_frame(number, 1)).save(folder / f"{number + 1:06d}.png")
    boxes = write_boxes(tmp_path / "gt.csv", 40, 1, tracks=True)
    words = ("--gallery", "s", "--model", model, "--engine", "torch", "--no-parser", "--boxes", boxes, "--json")
    out, _ = gallery("add", folder, *words)
    told = json.loads(out)
    assert (told["tracklets"], told["added"][0]["frames"]) == (1, 40)
    out, _ = gallery("add", tmp_path / "MOT", *words, "--again")
    assert json.loads(out)["tracklets"] == 1, "found below the folder too"
    (folder / "000007.png").write_bytes(b"")
    out, err = gallery("add", folder, "--gallery", "t", *words[2:], code=1)
    assert json.loads(out)["added"][0]["frames"] == 39 and "1 frames cannot be read" in err


@pytest.mark.parametrize("option", ["--every 2", "--fps 5", "--seconds 3", "--crops 2", "--again", "--tries 3"])
def test_an_option_that_would_do_nothing_is_an_error(gallery, model, scenes, option):
    words = option.split()
    _, err = gallery("add", scenes, "--gallery", "s", "--model", model, *words, code=2)
    assert f"{words[0]} would do nothing" in " ".join(err.split())


def test_what_does_not_fit_together_is_an_error(gallery, model, scenes, tmp_path):
    film = write_film(tmp_path / "a.mp4", 5)
    boxes = boxes_by_name(tmp_path / "boxes.csv")
    words = ("--gallery", "s", "--model", model, "--engine", "torch", "--no-parser")
    _, err = gallery("add", film, "--tries", 3, *words, code=2)
    assert "--tries would do nothing: none of the sources is a live stream" in " ".join(err.split())
    _, err = gallery("add", film, "--boxes", boxes, *words, code=2)
    assert "names images (cam_14.png), and is to be used for a video" in " ".join(err.split())
    _, err = gallery("add", scenes, film, film, "--boxes", boxes, *words, code=2)
    assert "name exactly one" in " ".join(err.split())
    (scenes / "cam_14.png").unlink()
    _, err = gallery("add", scenes, "--boxes", boxes, *words, code=2)
    assert "no image is called cam_14.png" in " ".join(err.split())
    gallery("add", scenes, *words, "--retention", "30d")
    gallery("add", scenes, *words, "--retention", "30d")
    _, err = gallery("add", scenes, *words, "--retention", "5d", code=2)
    assert "--retention is for a new gallery" in " ".join(err.split())


def test_shape():
    assert is_wide(walk_frame(0, 1)) and not is_wide(figure(0, 0, 0))
