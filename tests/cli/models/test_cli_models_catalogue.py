"""``unveil models``: published models from a local server in place of their publisher; cards for models of others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from command_line import refused, run
from external import HEIGHT, WIDTH, write_card, write_external
from runtime.graphs import save_graph, with_external_weights
from unveil.atomic_io import write_text
from unveil.errors import CheckpointError, UnveilError
from unveil.inference.adding import add_model
from unveil.inference.load import load_engine
from unveil.models.catalogue import detectors, known
from unveil.models.catalogue.known import KNOWN
from unveil.models.embeddings import load_embeddings


def test_get_embed_and_search_with_a_published_model(published, folder, people, tmp_path):
    assert "colours" not in [
        row["name"] for row in json.loads(run("models", "list", "--json").stdout) if row["state"] == "installed"
    ]
    run("models", "get", "colours")
    assert sorted(p.name for p in (folder / "colours").iterdir() if not p.name.startswith(".")) == [
        "colours.json",
        "colours.onnx",
    ]
    card = json.loads(run("models", "card", "colours").stdout)
    assert card["licence"] == "Apache-2.0" and card["trained_on"] == "not stated"
    assert card["sha256"] == hashlib.sha256((folder / "colours/colours.onnx").read_bytes()).hexdigest()
    row = next(row for row in json.loads(run("models", "list", "--json").stdout) if row["name"] == "colours")
    assert row["state"] == "installed"
    run("embed", "colours", people, "--out", tmp_path / "e.safetensors", "--cache", tmp_path / "cache")
    assert load_embeddings(tmp_path / "e.safetensors").embedding.vectors.shape == (3, 1, 3)
    found = run("search", people / "red.png", tmp_path / "e.safetensors", "--model", "colours", "--json",
                "--cache", tmp_path / "cache", "--skip-person-check")  # fmt: skip
    assert [hit["key"] for hit in json.loads(found.stdout)[0]["hits"]] == ["dark_red.png", "green.png"]
    run("models", "verify", "colours")
    with (folder / "colours/colours.onnx").open("ab") as f:
        f.write(b"\xfa\x01\x02hi")
    assert "SHA-256 differs" in run("models", "verify", code=1).stderr
    run("models", "remove", "colours")
    assert not (folder / "colours").exists() and "no model 'colours' is installed" in refused(
        "models", "remove", "colours"
    )


def test_what_ships_is_listed_with_what_it_does_its_licence_and_our_figures():
    from unveil.models.checkpoint import load_model
    from unveil.pretrained import DEFAULT_MODEL

    viper = next(f for f in load_model(DEFAULT_MODEL).card.figures if f["data"] == "viper")
    rows = {row["name"]: row for row in json.loads(run("models", "list", "--json").stdout)}
    assert f"Rank-1 {viper['rank1']}, mAP {viper['map']}" in rows[DEFAULT_MODEL]["measured"]
    for name in (DEFAULT_MODEL, "parser", "unveil:detector"):
        row = rows[name]
        assert (row["state"], row["licence"], row["trained_on"]) == ("ships", "Apache-2.0", "rendered people")
        assert row["bytes"] > 1e6
    assert rows["parser"]["about"].startswith("parser") and json.loads(run("models", "card", "parser").stdout)["scheme"]
    assert json.loads(run("models", "card", "unveil:detector").stdout)["decoder"] == "yolov8"


@pytest.mark.parametrize("columns", [80, 40])
def test_names_are_whole_and_nothing_is_cut_in_a_narrow_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown, rows = run("models", "list").stdout, json.loads(run("models", "list", "--json").stdout)
    assert {row["name"] for row in rows} <= set(shown.split()) and "…" not in shown
    words = "".join(line.rpartition("│")[0].rpartition("│")[2].strip() for line in shown.splitlines())
    for row in rows:
        for text in (row["about"], row["licence"], row["claims"], row["measured"]):
            assert text.replace(" ", "") in words.replace(" ", "")


def test_words_of_a_card_are_listed_character_by_character(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    run("models", "add", write_external(tmp_path), "--like", "raw", "--set", "licence=MIT [/b]", "--name", "mine")
    assert "MIT [/b]" in run("models", "list").stdout


def test_speed_is_measured_for_models_that_are_here_and_for_no_others(published, monkeypatch):
    monkeypatch.setattr("unveil.pretrained.shipped_names", lambda: [])  # their export takes a while
    monkeypatch.setenv("COLUMNS", "300")  # of the table, which else is broken into many lines
    run("models", "get", "colours")
    rows = {row["name"]: row for row in json.loads(run("models", "list", "--speed", "--json").stdout)}
    assert rows["colours"]["crops_per_second"] > 0 and rows["colours"]["engine"] in ("onnx", "openvino")
    assert rows["yolox-s"]["crops_per_second"] is None
    assert f"({rows['colours']['engine']})" in run("models", "list", "--speed").stdout
    assert "crops_per_second" not in json.loads(run("models", "list", "--json").stdout)[0]


def test_offline_says_which_file_goes_where_and_takes_it_from_there(published, folder, monkeypatch):
    content = published.files["/publisher.test/v1/colours.onnx"]
    monkeypatch.setenv("UNVEIL_OFFLINE", "1")
    said = refused("models", "get", "colours")
    assert "https://publisher.test/v1/colours.onnx" in said and str(folder / "colours/colours.onnx") in said
    (folder / "colours/colours.onnx").write_bytes(content)
    run("models", "get", "colours")
    assert (folder / "colours/colours.json").is_file()


def test_terms_that_forbid_a_use_are_said_before_anything_is_fetched(published, monkeypatch):
    import dataclasses

    limited = dataclasses.replace(KNOWN["colours"], restriction="research only")
    monkeypatch.setitem(KNOWN, "colours", limited)
    assert "research only" in refused("models", "get", "colours") and not published.requests
    row = next(row for row in json.loads(run("models", "list", "--json").stdout) if row["name"] == "colours")
    assert "not for every use" in row["licence"]
    run("models", "get", "colours", "--accept-licence")


def test_every_entry_of_the_catalogue_makes_a_card_that_can_be_read():
    from unveil.models.foreign.reid_card import ReidCard
    from unveil.video.card import FAMILIES, DetectorCard

    assert len(KNOWN) == len({file.digest.digits for model in KNOWN.values() for file in model.files[-1:]})
    for model in KNOWN.values():
        card = {"model": model.files[0].name, **model.card}
        if model.task == "reid":
            ReidCard.model_validate(card)
        else:
            DetectorCard.model_validate(FAMILIES[card["decoder"]] | card)
        assert all(file.address.startswith("https://") for file in model.files) and model.licence


def test_add_writes_a_card_that_fits_the_file(tmp_path):
    path = write_external(tmp_path)
    path.with_suffix(".json").unlink()
    said = run("models", "add", path, "--like", "omz", "--set", "licence=MIT").stdout
    assert "a vector of 3 numbers" in said
    card = json.loads(path.with_suffix(".json").read_text())
    assert (card["height"], card["width"], card["channels"], card["licence"]) == (HEIGHT, WIDTH, "bgr", "MIT")
    assert "--replace" in refused("models", "add", path, "--like", "osnet")
    run("models", "add", path, "--like", "osnet", "--replace")
    assert json.loads(path.with_suffix(".json").read_text())["mean"] == [0.485, 0.456, 0.406]


def test_add_installs_under_a_name(tmp_path, folder):
    path = write_external(tmp_path)
    run("models", "add", path, "--like", "raw", "--name", "mine")
    assert sorted(p.suffix for p in (folder / "mine").iterdir()) == [".json", ".onnx"]
    assert "as its card says" in run("models", "verify", "mine").stdout
    assert "expected letters" in refused("models", "add", path, "--like", "raw", "--name", "../mine")


def test_a_model_is_called_by_the_name_that_it_was_installed_under(tmp_path, people):
    run("models", "add", write_external(tmp_path, "net_v2_final"), "--like", "raw", "--name", "shop")
    run("embed", "shop", people, "--out", tmp_path / "e.safetensors", "--cache", tmp_path / "cache")
    assert load_embeddings(tmp_path / "e.safetensors").model == "shop"
    found = run("search", people / "red.png", tmp_path / "e.safetensors", "--model", "shop", "--skip-person-check",
                "--cache", tmp_path / "cache", "--json")  # fmt: skip
    assert json.loads(found.stdout)[0]["model"]["name"] == "shop"


def test_add_refuses_what_is_no_reid_model_and_writes_nothing(tmp_path):
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, HEIGHT, WIDTH])]
    vectors = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3])
    maps = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3, HEIGHT, WIDTH])
    zeros = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    mean = helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0)
    for name, nodes, constants, message in (
        ("maps", [helper.make_node("Identity", ["images"], ["out"])], [], "no ReID model"),
        ("zero", [mean, helper.make_node("Mul", ["mean", "zero"], ["out"])], [zeros, axes], "a zero vector"),
        ("nan", [mean, helper.make_node("Div", ["mean", "zero"], ["out"])], [zeros, axes], "NaN or infinity"),
    ):  # fmt: skip
        path = save_graph(tmp_path / f"{name}.onnx", nodes, inputs, [maps if name == "maps" else vectors], constants)
        assert message in refused("models", "add", path, "--like", "osnet")
        assert not path.with_suffix(".json").exists()
    path = write_external(tmp_path)
    path.with_suffix(".json").unlink()
    assert "did you mean 'osnet'" in refused("models", "add", path, "--like", "osnett")
    assert "heigth" in refused("models", "add", path, "--like", "osnet", "--set", "heigth=3")
    assert "KEY=VALUE" in refused("models", "add", path, "--like", "osnet", "--set", "bgr")


def test_add_refuses_weights_in_a_second_file_and_leaves_nothing(tmp_path, folder):
    path = with_external_weights(tmp_path / "m.onnx")
    assert "save it as one file" in refused("models", "add", path, "--like", "raw", "--name", "mine")
    assert not folder.exists()
    write_card(path)
    with pytest.raises(CheckpointError, match="save it as one file"):
        load_engine(path)


def test_add_that_fails_at_last_leaves_nothing(tmp_path, folder, monkeypatch):
    path, missing = write_external(tmp_path), {"file": "centres", "sha256": "0", "cameras": ["gate"]}
    with pytest.raises(CheckpointError, match="centres: missing"):
        add_model(path, "raw", changes={"centres": missing}, name="mine")
    assert not (folder / "mine").exists()

    def full(target: Path, text: str) -> None:
        if target.parent == folder / "mine":
            raise UnveilError(f"cannot write {target}: No space left on device")
        write_text(target, text)

    monkeypatch.setattr("unveil.inference.adding.write_text", full)
    with pytest.raises(UnveilError, match="No space left"):
        add_model(path, "raw", name="mine")
    assert not (folder / "mine").exists()


def test_the_best_installed_detector_is_taken_and_the_packages_own_where_none_is(folder):
    assert detectors.best_detector() == detectors.named_detector(detectors.OWN)
    assert detectors.best_name() == "unveil:detector"
    for name in ("yolox-nano", "person-detection-0203", "person-detection-0200"):
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}.json").write_text(json.dumps({"decoder": "yolox"}))
    assert detectors.best_detector() == folder / "person-detection-0203/person-detection-0203.json"
    assert detectors.named_detector("yolox-nano") == folder / "yolox-nano/yolox-nano.json"
    assert detectors.best_name() == "person-detection-0203"
    assert str(detectors.named_detector("other.onnx")) == "other.onnx"


def test_without_a_detector_the_packages_own_is_used_and_a_line_says_how_to_get_a_better_one(folder, capsys):
    from unveil.cli.gallery.add import _finder

    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    assert _finder(None, None).name.startswith("detector.onnx@")
    assert "`unveil models get yolox-s` fetches a better one" in capsys.readouterr().err
    assert _finder(Path("hog"), None).name == "opencv-hog" and not capsys.readouterr().err


def test_opencvs_is_used_where_nothing_runs_models(folder, monkeypatch):
    monkeypatch.setattr(detectors, "RUNTIMES", ("no_such_runtime",))
    card, about = detectors.chosen_detector(None)
    assert card is None and "the extra 'onnx' brings what runs the package's own detector" in about
    assert detectors.best_name() == "hog"


def test_unknown_names_get_the_nearest():
    assert "did you mean 'person-reidentification-retail-0277'" in refused(
        "models", "get", "person-reidentification-0277"
    )
    assert known.find_known("yolox-s").task == "detector"
