"""The network, and the file that it becomes: shapes, the rule of labels, parity, size."""

import json

import numpy as np
import pytest
import torch

from unveil.errors import MissingExtraError
from unveil.export.packed import packed_onnx
from unveil.export.parser import CARD, MODEL, export_parser
from unveil.nn.parsing_network import LabelNet, ParsingNet
from unveil.parsing.onnx_parser import OnnxParser

CLASSES, PARTS, SHARES, PLAIN = 5, 3, 2, 2
SIDES = (0, 1, -1)
LABELS = PLAIN + (CLASSES - PLAIN) * PARTS


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = ParsingNet(CLASSES, SIDES, shares=SHARES).eval()
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.3, 1.5)
    return made


def pixels(count=3, height=64, width=32):
    return torch.from_numpy(np.random.default_rng(1).standard_normal((count, 3, height, width), dtype=np.float32))


def test_shapes_and_size_of_the_shipped_network():
    shipped = ParsingNet(19, (0, 0, *(1, -1) * 5), shares=7)
    assert sum(p.numel() for p in shipped.parameters()) <= 3_000_000
    kinds, parts, shares, facing = shipped(pixels(2, 256, 128))
    assert kinds.shape == (2, 19, 128, 64) and parts.shape == (2, 12, 128, 64) and shares.shape == (2, 7)
    assert facing.shape == (2,)


def test_labels_follow_the_rule(network):
    images = pixels()
    with torch.inference_mode():
        kinds, parts, shares, _ = network(images)
        labels, visible = LabelNet(network, PLAIN)(images)
    large = [torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear").numpy() for x in (kinds, parts)]
    kind, part = large[0].argmax(1), large[1].argmax(1)
    for at in np.ndindex(kind.shape):
        expected = kind[at] if kind[at] < PLAIN else PLAIN + (kind[at] - PLAIN) * PARTS + part[at]
        assert labels[at] == expected
    assert len(np.unique(labels)) > 3 and labels.dtype == torch.uint8
    np.testing.assert_allclose(visible.numpy(), 1 / (1 + np.exp(-shares.numpy())), rtol=1e-5)


def test_training_leaves_frozen_stages_and_the_statistics_of_photographs_alone():
    torch.manual_seed(0)
    trained = ParsingNet(CLASSES, SIDES, shares=SHARES, frozen=2).train()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in trained.parameters() if p.requires_grad], 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        kinds, parts, shares, _ = trained(pixels())
    (kinds.float().square().mean() + parts.float().square().mean() + shares.float().square().mean()).backward()
    optimiser.step()
    changed = {name for name, value in trained.state_dict().items() if not torch.equal(value, before[name])}
    encoder = {name for name in changed if name.startswith("encoder.")}
    assert encoder and all(int(name.split(".")[2]) >= 2 for name in encoder)
    assert not any("running" in name for name in encoder)
    assert any(name.startswith("ups.") and name.endswith("running_mean") for name in changed)


def test_paddings_are_those_of_the_convolutions_in_the_file(network):
    """Lite0 pads below and to the right alone where it halves a map; the file does it without a node of its own."""
    onnx = pytest.importorskip("onnx", reason="onnx writes the model and is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    content = packed_onnx(network, (64, 32), outputs=("kinds", "parts", "shares", "facing"), any_batch=True)
    assert "Pad" not in {node.op_type for node in onnx.load_from_string(content).graph.node}
    found = runtime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(
        None, {"images": pixels().numpy()}
    )
    with torch.inference_mode():
        for told, true in zip(found, network(pixels()), strict=True):
            # What remains is the weights' 16 bits.
            np.testing.assert_allclose(told, true.numpy(), atol=0.02 * float(true.abs().max()))


def test_who_faces_the_other_way_has_left_and_right_changed():
    torch.manual_seed(1)
    made = ParsingNet(CLASSES, SIDES, shares=SHARES).eval()
    with torch.inference_mode():
        _, parts, _, facing = made(pixels())
        made.visible[-1].weight[-1].neg_()
        made.visible[-1].bias[-1].neg_()
        _, turned, _, opposite = made(pixels())
    assert torch.equal(facing, -opposite) and torch.equal(parts[:, 0], turned[:, 0])
    torch.testing.assert_close(parts[:, 1:], turned[:, 1:].flip(1))
    assert (parts[:, 1] != parts[:, 2]).any()


def write(network, folder):
    tables = {"pab6": [k % 7 for k in range(LABELS)], "cre7": [0] * LABELS}
    return export_parser(
        network, folder, plain=PLAIN, size=(64, 32), tables=tables, shares=("head", "body"), scheme="pab6"
    )


def test_the_file_answers_what_the_network_answers(tmp_path, network):
    pytest.importorskip("onnx", reason="onnx writes the model and is not installed")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    parser = OnnxParser(write(network, tmp_path), threads=1)
    images = np.random.default_rng(2).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)
    parsed = parser.parse(images)
    with torch.inference_mode():
        labels, shares = LabelNet(network, PLAIN)(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1)
    # Weights of 16 bits move a few borders.
    assert (parsed.labels == labels.numpy() % 7).mean() > 0.98
    np.testing.assert_allclose(parsed.visibility, shares.numpy(), atol=5e-3)
    assert parsed.parts == ("head", "body") and parsed.scheme.name == "pab6"
    four_bytes = 4 * sum(p.numel() for p in network.parameters())
    assert (tmp_path / MODEL).stat().st_size < four_bytes / 2 + 60_000
    assert not OnnxParser(tmp_path / CARD, 1, scheme="cre7").parse(images).labels.any()
    assert json.loads((tmp_path / CARD).read_text())["licence"] == "Apache-2.0"


def test_without_onnx_the_extra_is_named(tmp_path, network, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"unveil\[export\]"):
        write(network, tmp_path)
