"""What cannot be had or used as a model: one clear sentence each, and nothing that is half there."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import resource
import ssl

import numpy as np
import pytest
import trustme
from onnx import TensorProto, helper
from PIL import Image
from typer.testing import CliRunner

from command_line import refused, run
from external import HEIGHT, WIDTH, write_card, write_external
from file_server import serve_files
from runtime.graphs import as_openvino, save_graph
from unveil.cli import app
from unveil.errors import CheckpointError, UnveilError
from unveil.inference.load import load_engine
from unveil.models.catalogue import download
from unveil.models.catalogue.known import KNOWN
from unveil.video.detectors.detect import load_detector

PATH = "/publisher.test/v1/colours.onnx"


def nothing_is_there(folder) -> bool:
    rows = json.loads(run("models", "list", "--json").stdout)
    states = {row["name"]: row["state"] for row in rows}
    left = [path.name for path in (folder / "colours").glob("*") if not path.name.startswith(".")]
    return states["colours"] == "known" and not left


def other_bytes(server) -> None:
    server.files[PATH] = bytes(len(server.files[PATH]))


def gone(server) -> None:
    del server.files[PATH]


def longer(server) -> None:
    server.files[PATH] += b"?"


def cut(server) -> None:
    server.cuts = [20, 20, 20, 20]


def full(server) -> None:
    server.claimed[PATH] = 1 << 50


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (other_bytes, "it is damaged or another file, and nothing of it is kept"),
        (gone, "the server answered 404"),
        (longer, "bytes, the server offers"),
        (cut, "the same command resumes what was fetched so far"),
        (full, "the server offers 1125899906842624"),
    ],
)
def test_a_model_that_cannot_be_had_is_not_installed(published, folder, monkeypatch, fault, words):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    fault(published)
    assert words in refused("models", "get", "colours")
    assert nothing_is_there(folder)


def test_what_was_cut_is_had_by_the_same_command(published, folder, monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    cut(published)
    refused("models", "get", "colours")
    run("models", "get", "colours")
    assert published.requests[-1][1]["Range"] == "bytes=80-"
    assert "as its card says" in run("models", "verify", "colours").stdout


def test_a_model_whose_second_file_cannot_be_had_is_not_installed(published, monkeypatch, folder):
    first = KNOWN["colours"].files[0]
    second = dataclasses.replace(first, address="https://publisher.test/v1/colours.bin", name="colours.bin")
    monkeypatch.setitem(KNOWN, "colours", dataclasses.replace(KNOWN["colours"], files=(first, second)))
    assert "colours.bin: the server answered 404" in refused("models", "get", "colours")
    row = next(row for row in json.loads(run("models", "list", "--json").stdout) if row["name"] == "colours")
    assert row["state"] == "known" and not (folder / "colours/colours.json").exists()
    assert "no model at colours" in refused("embed", "colours", folder, "--out", folder / "e.safetensors")


def test_a_redirect_to_plain_http_is_refused(published, folder, monkeypatch, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serve_files(context) as encrypted:
        encrypted.redirects[PATH] = f"{published.address}{PATH}"
        monkeypatch.setenv("UNVEIL_MIRROR", encrypted.address)
        assert "which is not encrypted; nothing is fetched from there" in refused("models", "get", "colours")
    assert not published.requests and nothing_is_there(folder)


def _get_in_little_space(queue) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    queue.put(str(CliRunner().invoke(app, ["-q", "models", "get", "colours"]).exception))


def test_a_disk_that_is_full_is_said(published, folder):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_get_in_little_space, args=(queue,))
    child.start()
    assert "no space for" in queue.get(timeout=60)
    child.join()
    assert nothing_is_there(folder)


def test_vectors_that_are_not_finite_are_neither_kept_nor_searched_with(tmp_path, people):
    """The square root of how much brighter a crop is than 20: NaN for a dark one."""
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "twenty"], ["above"]),
        helper.make_node("Sqrt", ["above"], ["vectors"]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3]),
        helper.make_tensor("twenty", TensorProto.FLOAT, [1], [20.0]),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, HEIGHT, WIDTH])]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 3])]
    path = save_graph(tmp_path / "m.onnx", nodes, inputs, outputs, constants)
    write_card(path, scale=1)
    out, cache = tmp_path / "e.safetensors", ("--cache", tmp_path / "cache")
    for colour in ("red", "green", "dark_red"):
        Image.fromarray(np.full((40, 20, 3), 200, np.uint8)).save(people / f"{colour}.png")
    run("embed", path, people, "--out", out, *cache)
    Image.fromarray(np.zeros((40, 20, 3), np.uint8)).save(people / "black.png")
    assert "NaN or infinity for 1 of 4 crops, for example 'black.png'" in refused(
        "embed", path, people, "--out", tmp_path / "other.safetensors", *cache
    )
    assert not (tmp_path / "other.safetensors").exists()
    assert "NaN or infinity for 1 of 1 crops" in refused(
        "search", people / "black.png", out, "--model", path, "--skip-person-check", *cache
    )


def test_a_reid_model_is_no_detector_and_a_detector_no_reid_model(tmp_path, people):
    reid = write_external(tmp_path)
    with pytest.raises(CheckpointError, match="is the card of a ReID model; a detector is wanted here"):
        load_detector(reid)
    fields = {"model": reid.name, "decoder": "yolox", "height": HEIGHT, "width": WIDTH}
    reid.with_suffix(".json").write_text(json.dumps(fields))
    said = refused("embed", reid, people, "--out", tmp_path / "e.safetensors")
    assert "is a detector, by its card other.json; a ReID model is wanted here" in said
    assert not (tmp_path / "e.safetensors").exists()


def test_an_ir_without_its_weights_and_a_card_without_a_key_are_said(tmp_path, folder):
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    xml = as_openvino(write_external(tmp_path))
    write_card(xml)
    xml.with_suffix(".bin").rename(tmp_path / "elsewhere.bin")
    with pytest.raises(CheckpointError, match=r"its weights other\.bin are missing: both files belong in one folder"):
        load_engine(xml)
    for where in ([], ["--name", "mine"]):
        xml.with_suffix(".json").unlink(missing_ok=True)
        assert "its weights other.bin are missing" in refused("models", "add", xml, "--like", "osnet", *where)
        assert not xml.with_suffix(".json").exists() and not (folder / "mine").exists()
    (tmp_path / "elsewhere.bin").rename(xml.with_suffix(".bin"))
    for key in ("height", "width", "model"):
        card = write_card(xml)
        card.write_text(json.dumps({k: v for k, v in json.loads(card.read_text()).items() if k != key}))
        with pytest.raises(CheckpointError, match=rf"other\.json: {key}: Field required; .*unveil models add"):
            load_engine(xml)
    with pytest.raises(UnveilError, match="no card of a ReID model"):
        card.write_text(json.dumps({"height": HEIGHT}))
        load_engine(card)
