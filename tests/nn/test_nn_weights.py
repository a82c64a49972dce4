import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from unveil.errors import CheckpointError, RecipeError
from unveil.nn.backbones.choice import build_backbone
from unveil.nn.backbones.osnet import OSNet
from unveil.nn.backbones.weights import load_weights
from unveil.recipe import BackboneChoice


@pytest.fixture(scope="module")
def source():
    torch.manual_seed(1)
    state = OSNet(0.25).state_dict()
    return {key: torch.rand_like(value) if value.is_floating_point() else value for key, value in state.items()}


def assert_loaded(path, source):
    backbone = OSNet(0.25)
    load_weights(backbone, path)
    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, source[key])


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "base.", "module.backbone.", "module.model."])
def test_prefixes_are_stripped(tmp_path, source, prefix):
    torch.save({prefix + key: value for key, value in source.items()}, tmp_path / "w.pth")
    assert_loaded(tmp_path / "w.pth", source)


def test_wrapped_state_with_other_content(tmp_path, source):
    torch.save({"state_dict": source, "epoch": 3}, tmp_path / "w.pth.tar")
    assert_loaded(tmp_path / "w.pth.tar", source)


def test_classifier_is_ignored_and_heads_beside_the_backbone_too(tmp_path, source):
    torch.save({**source, "classifier.weight": torch.zeros(9, 9), "fc.0.weight": torch.zeros(9)}, tmp_path / "a.pth")
    assert_loaded(tmp_path / "a.pth", source)
    whole = {f"base.{key}": value for key, value in source.items()} | {"bottleneck.weight": torch.zeros(4)}
    torch.save(whole, tmp_path / "b.pth")
    assert_loaded(tmp_path / "b.pth", source)


def test_safetensors_through_the_choice_of_a_backbone(tmp_path, source):
    save_file(source, tmp_path / "w.safetensors")
    backbone = build_backbone(BackboneChoice(name="osnet_x0_25"), weights=tmp_path / "w.safetensors")
    torch.testing.assert_close(backbone.conv5.conv.weight, source["conv5.conv.weight"])


def test_old_checkpoints_without_counters_load(tmp_path, source):
    torch.save({k: v for k, v in source.items() if not k.endswith("num_batches_tracked")}, tmp_path / "w.pth")
    assert_loaded(tmp_path / "w.pth", source)


def test_a_mismatch_lists_keys_and_changes_nothing(tmp_path, source):
    wrong = dict(source)
    del wrong["conv5.bn.weight"]
    wrong["conv9.weight"] = torch.zeros(1)
    wrong["conv1.conv.weight"] = torch.zeros(8, 3, 7, 7)
    torch.save(wrong, tmp_path / "w.pth")
    backbone = OSNet(0.25)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        load_weights(backbone, tmp_path / "w.pth")
    text = str(error.value)
    assert "missing: conv5.bn.weight" in text and "unexpected: conv9.weight" in text
    assert "of another shape: conv1.conv.weight (8, 3, 7, 7) instead of (16, 3, 7, 7)" in text
    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, before[key])


def test_only_the_first_ten_keys_are_listed(tmp_path, source):
    torch.save({"conv1.conv.weight": source["conv1.conv.weight"]}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"\.\.\. \(\d+ in all\)") as error:
        load_weights(OSNet(0.25), tmp_path / "w.pth")
    assert len(str(error.value).partition("missing: ")[2].split(", ")) == 10 + 1


class Evil:
    def __reduce__(self):
        return print, ("code of a checkpoint ran",)


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "truncated", "code", "list", "no tensors"])
def test_a_file_that_is_no_state_dict_is_one_clear_error(tmp_path, source, kind, capsys):
    path = tmp_path / "w.pth"
    if kind == "text":
        path.write_text("these are not weights")
    elif kind == "empty":
        path.touch()
    elif kind == "truncated":
        torch.save(source, path)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind != "missing":
        torch.save({"code": {"a": Evil()}, "list": [1, 2], "no tensors": {"a": 1}}[kind], path)
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        load_weights(OSNet(0.25), path)
    assert "ran" not in capsys.readouterr().out


def test_damaged_safetensors(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"123")
    with pytest.raises(CheckpointError, match=r"w\.safetensors"):
        load_weights(OSNet(0.25), path)


def test_unknown_backbone_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'resnet50'"):
        build_backbone(BackboneChoice(name="resnet5O"))


@pytest.mark.parametrize("core", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_numpy_numbers_beside_the_weights_are_no_obstacle(tmp_path, source, core):
    """torchreid keeps the Rank-1 rate as a number of NumPy, under one module's name or, before NumPy 2, another."""
    path = tmp_path / "w.pth.tar-150"
    beside = {"epoch": np.int64(150), "rank1": np.float64(0.94), "best": np.bool_(True), "lr": np.float32(1e-4)}
    torch.save({"state_dict": source, **beside}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", core))
    assert core in path.read_bytes()
    assert_loaded(path, source)


class Opener:
    def __reduce__(self):
        return (open, ("/tmp/never-made-by-a-checkpoint", "w"))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"args": argparse.Namespace(a=1)}, "argparse.Namespace"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"w": torch.ones(3), "o": np.array([None])}, "numpy._core.multiarray._reconstruct"),
        ({"w": Opener()}, "open"),
    ],
)
def test_objects_that_could_run_code_are_named_and_never_made(tmp_path, content, named):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as error:
        load_weights(OSNet(0.25), tmp_path / "w.pth")
    assert named in str(error.value) and "save the tensors alone" in str(error.value)
    assert "weights_only" not in str(error.value) and "\n" not in str(error.value)
    assert not Path("/tmp/never-made-by-a-checkpoint").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_damaged_files_are_one_sentence(tmp_path, source, name):
    whole = tmp_path / "whole"
    torch.save(source, whole) if name == "w.pth" else save_file(source, whole)
    data = whole.read_bytes()
    for content in (b"", b"no weights", data[: len(data) // 2], b"PK\3\4" + bytes(400), b"\x80\4garbage", data[50:]):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError) as error:
            load_weights(OSNet(0.25), tmp_path / name)
        assert "\n" not in str(error.value) and "weights_only" not in str(error.value) and len(str(error.value)) < 400
