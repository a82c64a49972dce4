"""Checkpoints of other toolkits against networks put together here from torchvision's and PyTorch's own modules."""

from __future__ import annotations

import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from unveil.cli import app
from unveil.errors import CheckpointError
from unveil.models.checkpoint import load_model
from unveil.models.importing.checkpoint import import_checkpoint
from unveil.nn.backbones.osnet import OSNet
from unveil.nn.backbones.torchvision_guard import guard_torchvision

MEAN, STD = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
SIZE = ["input.height=64", "input.width=32"]
PERSONS = 7


def drawn(module: nn.Module) -> nn.Module:
    """Return a module in evaluation mode whose norms are no longer fresh."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
        if isinstance(part, (nn.modules.batchnorm._BatchNorm, nn.InstanceNorm2d)):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    return module.eval()


def torchvision_resnet(depth: int, last_stride: int) -> nn.Module:
    guard_torchvision()
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed (extra timm)")
    net = getattr(models, f"resnet{depth}")(weights=None)
    first = net.layer4[0]
    (first.conv2 if depth >= 50 else first.conv1).stride = (last_stride, last_stride)
    first.downsample[0].stride = (last_stride, last_stride)
    net.fc = nn.Identity()
    return drawn(net)


def a_map(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    x = net.maxpool(net.relu(net.bn1(net.conv1(images))))
    return net.layer4(net.layer3(net.layer2(net.layer1(x))))


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (3, 64, 32, 3), np.uint8)


def images_of(crops: np.ndarray) -> torch.Tensor:
    return (torch.from_numpy(crops).permute(0, 3, 1, 2) / 255 - MEAN) / STD


def embedded(path, crops) -> torch.Tensor:
    return torch.from_numpy(load_model(path).embed_crops(crops).vectors[:, 0])


def prefixed(module: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}{key}": value for key, value in module.state_dict().items()}


def close(found, expected) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(("width", "ain", "name"), [(0.25, False, "osnet_x0_25"), (0.5, True, "osnet_ain_x0_5")])
@torch.inference_mode()
def test_an_osnet_of_torchreid(width, ain, name, tmp_path, crops):
    backbone = drawn(OSNet(width, ain=ain))
    fc = drawn(nn.Sequential(nn.Linear(backbone.channels, 512), nn.BatchNorm1d(512), nn.ReLU()))
    expected = fc(backbone(images_of(crops)).mean(dim=(2, 3)))
    weights = prefixed(backbone, "module.") | prefixed(fc, "module.fc.")
    weights |= prefixed(nn.Linear(512, PERSONS), "module.classifier.")
    # As torchreid saves: beside optimiser and epoch, the Rank-1 rate as a number of NumPy.
    torch.save({"state_dict": OrderedDict(weights), "epoch": 3, "rank1": np.float64(0.5)}, tmp_path / "net.pth.tar-3")
    done = import_checkpoint(tmp_path / "net.pth.tar-3", "torchreid", overrides=SIZE, out=tmp_path / "o.safetensors")
    assert done.card.recipe["backbone"]["name"] == name
    assert done.left_out == ("classifier.weight", "classifier.bias")
    close(embedded(tmp_path / "o.safetensors", crops), expected)


@pytest.mark.parametrize("projected", [False, True])
@torch.inference_mode()
def test_a_resnet_of_torchreid(projected, tmp_path, crops):
    net = torchvision_resnet(18, 1 if projected else 2)
    fc = drawn(nn.Sequential(nn.Linear(512, 128), nn.BatchNorm1d(128), nn.ReLU()))
    expected = a_map(net, images_of(crops)).mean(dim=(2, 3))
    weights = prefixed(net, "") | prefixed(nn.Linear(512, PERSONS), "classifier.")
    if projected:
        expected, weights = fc(expected), weights | prefixed(fc, "fc.")
    torch.save(weights, tmp_path / "net.pth")
    done = import_checkpoint(tmp_path / "net.pth", "torchreid", overrides=SIZE)
    assert done.path == tmp_path / "net.safetensors"
    close(embedded(done.path, crops), expected)


class NonLocal(nn.Module):
    """Every position's value times the product of query and key, over their number; one channel inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(channels, 1, 1) for _ in range(3))
        self.W = nn.Sequential(nn.Conv2d(1, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, query, key = (conv(x).flatten(1) for conv in (self.g, self.theta, self.phi))
        pairs = torch.einsum("bi,bj->bij", query, key) / query.shape[1]
        y = torch.einsum("bij,bj->bi", pairs, value)
        return x + self.W(y.view(len(x), 1, *x.shape[2:]))


@torch.inference_mode()
def test_the_stronger_baseline_of_fastreid(tmp_path, crops):
    """Its pooling in the stem, five non-local blocks, a learnt generalised mean and pixels on 0..255."""
    net = torchvision_resnet(50, 1)
    net.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    for name, parameter in net.named_parameters():  # sixteen blocks and cubic attention would grow without bound
        if "bn3.weight" in name:
            parameter.mul_(0.1)
    plain = a_map(net, images_of(crops))
    blocks = {2: [NonLocal(512) for _ in range(2)], 3: [NonLocal(1024) for _ in range(3)]}
    for block in (block for some in blocks.values() for block in some):
        nn.init.constant_(drawn(block).W[1].running_var, 100)
    neck, p = drawn(nn.BatchNorm1d(2048)), torch.tensor([2.5])
    weights = prefixed(net, "backbone.")
    for stage, some in blocks.items():
        for n, block in enumerate(some):
            weights |= prefixed(block, f"backbone.NL_{stage}.{n}.")
        layer = getattr(net, f"layer{stage}")
        late = list(layer)[-len(some) :]
        setattr(
            net,
            f"layer{stage}",
            nn.Sequential(
                *list(layer)[: -len(some)], *(part for pair in zip(late, some, strict=True) for part in pair)
            ),
        )
    weights |= prefixed(neck, "heads.bottleneck.0.") | {
        "heads.pool_layer.p": p,
        "heads.weight": torch.ones(PERSONS, 2048),
    }
    weights |= {"pixel_mean": 255 * MEAN, "pixel_std": 255 * STD}
    features = a_map(net, images_of(crops))
    assert not torch.allclose(features, plain, rtol=0.05)  # the blocks say something
    expected = neck(features.clamp(min=1e-6).pow(2.5).mean(dim=(2, 3)).pow(1 / 2.5))
    torch.save({"model": weights, "iteration": 9}, tmp_path / "sbs.pth")
    done = import_checkpoint(tmp_path / "sbs.pth", "fastreid", overrides=SIZE)
    assert done.card.recipe["backbone"]["name"] == "resnet50_ceil"
    assert done.card.recipe["method"] == {"name": "sbs", "non_local": True, "pool": "gem"}
    assert done.card.recipe["input"]["interpolation"] == "bicubic"
    close(embedded(done.path, crops), expected)


@torch.inference_mode()
def test_bot_of_fastreid_averages_and_has_its_own_size(tmp_path, crops):
    net = torchvision_resnet(18, 1)
    net.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    neck = drawn(nn.BatchNorm1d(512))
    expected = neck(a_map(net, images_of(crops)).mean(dim=(2, 3)))
    torch.save({"model": prefixed(net, "backbone.") | prefixed(neck, "heads.bottleneck.0.")}, tmp_path / "bot.pth")
    done = import_checkpoint(tmp_path / "bot.pth", "fastreid", overrides=SIZE)
    close(embedded(done.path, crops), expected)
    own = import_checkpoint(tmp_path / "bot.pth", "fastreid", out=tmp_path / "own.safetensors").card.recipe["input"]
    assert (own["height"], own["width"]) == (256, 128)


@torch.inference_mode()
def test_bot_has_no_relu_in_its_stem_and_tests_behind_the_neck(tmp_path, crops):
    net = torchvision_resnet(18, 1)
    net.relu = nn.Identity()  # the stem's; every block has its own
    neck = drawn(nn.BatchNorm1d(512))
    features = a_map(net, images_of(crops)).mean(dim=(2, 3))
    weights = prefixed(net, "base.") | prefixed(nn.Linear(512, PERSONS, bias=False), "classifier.")
    torch.save(weights | prefixed(neck, "bottleneck."), tmp_path / "bot.pth")
    done = import_checkpoint(tmp_path / "bot.pth", "bot", overrides=SIZE)
    assert done.card.recipe["backbone"]["name"] == "resnet18_no_relu"
    close(embedded(done.path, crops), neck(features))
    save_file(weights, tmp_path / "plain.st.safetensors")
    without = import_checkpoint(
        tmp_path / "plain.st.safetensors", "bot", overrides=SIZE, out=tmp_path / "plain.safetensors"
    )
    close(embedded(without.path, crops), features)


@torch.inference_mode()
def test_cal_adds_the_mirrored_crop(tmp_path, crops):
    net = torchvision_resnet(18, 1)
    base, neck = nn.Sequential(*list(net.children())[:-2]), drawn(nn.BatchNorm1d(1024))

    def vector(images):
        features = a_map(net, images)
        return neck(torch.cat([features.amax(dim=(2, 3)), features.mean(dim=(2, 3))], dim=1))

    expected = nn.functional.normalize(vector(images_of(crops)) + vector(images_of(crops).flip(-1)), dim=1)
    classifier = nn.Linear(1024, PERSONS).state_dict()
    torch.save(
        {"model_state_dict": prefixed(base, "base.") | prefixed(neck, "bn."), "classifier_state_dict": classifier},
        tmp_path / "cal.pth.tar",
    )
    done = import_checkpoint(tmp_path / "cal.pth.tar", "cal", overrides=SIZE)
    close(embedded(done.path, crops), expected)


def test_the_command_installs_a_model_that_is_called_by_its_name(tmp_path, monkeypatch, crops):
    monkeypatch.setenv("UNVEIL_MODELS", str(tmp_path / "models"))
    backbone = drawn(OSNet(0.25))
    torch.save(prefixed(backbone, ""), tmp_path / "osnet.pth")
    words = ["models", "import", str(tmp_path / "osnet.pth"), "--like", "torchreid", "--name", "net"]
    words += ["--licence", "MIT"]
    done = CliRunner().invoke(app, [*words, "--set", "input.height=64", "--set", "input.width=32"])
    assert not done.exit_code, done.output
    assert "osnet_x0_25" in done.output
    card = json.loads((tmp_path / "models/net/net.json").read_text())
    assert card["licence"] == "MIT" and card["start"]["name"] == "osnet.pth" and card["fingerprint"] in done.output
    listed = CliRunner().invoke(app, ["models", "verify", "net"])
    assert "net: as its card says" in listed.output
    again = CliRunner().invoke(app, words)
    assert "--replace" in str(again.exception) and isinstance(again.exception, CheckpointError)


def test_what_does_not_fit_is_named_and_nothing_is_written(tmp_path):
    weights = prefixed(OSNet(0.25), "")
    weights["conv5.extra.weight"] = torch.ones(1)
    weights["conv5.bn.weight"] = torch.ones(3)
    del weights["conv4.0.gate.fc1.bias"]
    cases = {
        "odd.pth": (weights, "torchreid", ["backbone.conv4.0.gate.fc1.bias", "backbone.conv5.extra.weight", "(3,)"]),
        "other.pth": ({"layers.0.weight": torch.ones(2)}, "fastreid", ["no ResNet", "other.pth"]),
        "deep.pth": (
            {f"layer{n}.{m}.conv3.weight": torch.ones(1) for n in range(1, 5) for m in range(9)}
            | {"conv1.weight": torch.ones(1)},
            "torchreid",
            ["[9, 9, 9, 9] blocks", "ResNet-50"],
        ),
        "wide.pth": ({"conv1.conv.weight": torch.ones(77, 3, 7, 7)}, "torchreid", ["77 channels", "64 (x1_0)"]),
        "none.pth": ({"base.0.weight": torch.ones(1)}, "cal", ["no ResNet"]),
    }
    for file, (tensors, like, words) in cases.items():
        torch.save(tensors, tmp_path / file)
        with pytest.raises(CheckpointError) as told:
            import_checkpoint(tmp_path / file, like)
        assert all(word in str(told.value) for word in (*words, file)), str(told.value)
    assert not list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob("*.json"))


def test_code_damage_nan_and_unknown_toolkits_are_refused(tmp_path):
    torch.save(OSNet(0.25), tmp_path / "pickled.pth")  # the whole object, which would run code
    sound = OSNet(0.25).state_dict()
    nan = {key: value * float("nan") if value.is_floating_point() else value for key, value in sound.items()}
    torch.save(nan, tmp_path / "nan.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "nan.pth").read_bytes()[:9000])
    for file, like, words in (
        ("pickled.pth", "torchreid", "not opened because that can run code"),
        ("nan.pth", "torchreid", "NaN or infinity"),
        ("cut.pth", "torchreid", "cut short or damaged"),
        ("gone.pth", "torchreid", "No such file"),
        ("nan.pth", "torchried", "torchreid"),
    ):
        with pytest.raises(CheckpointError, match=words):
            import_checkpoint(tmp_path / file, like)
    assert not list(tmp_path.glob("*.safetensors"))
