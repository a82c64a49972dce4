import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from unveil.errors import RecipeError
from unveil.nn.backbones.choice import build_backbone
from unveil.nn.backbones.osnet import WIDTHS, OSNet
from unveil.recipe import BackboneChoice

# Parameters (millions) and multiply-adds (millions, 256 x 128) that torchreid's model zoo publishes; they include
# the fully connected layer to 512 and its batch norm.
PUBLISHED = {"x1_0": (2.2, 978.9), "x0_75": (1.3, 571.8), "x0_5": (0.6, 272.9), "x0_25": (0.2, 82.3)}

KEYS = """
conv1.conv.weight conv1.bn.running_mean conv2.0.conv1.conv.weight conv2.0.conv2a.conv1.weight
conv2.0.conv2b.1.conv2.weight
conv2.0.conv2d.3.bn.weight conv2.0.gate.fc1.bias conv2.0.gate.fc2.weight conv2.0.conv3.bn.weight
conv2.0.downsample.conv.weight conv2.2.0.conv.weight conv3.2.0.bn.bias conv5.bn.weight
"""
AIN_KEYS = """
conv1.bn.weight conv2.0.conv2.0.layers.0.conv1.weight conv2.0.conv2.3.layers.3.bn.weight conv2.0.IN.weight
conv3.0.conv3.bn.weight conv3.1.IN.bias conv4.0.IN.weight conv4.1.conv3.bn.weight pool2.0.conv.weight pool3.0.bn.bias
conv5.conv.weight conv2.0.downsample.bn.weight
"""


@pytest.mark.parametrize("ain", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_size_is_the_published_one(width, ain):
    with torch.device("meta"):
        backbone = OSNet(WIDTHS[width], ain=ain).eval()
        with FlopCounterMode(display=False) as counter:
            backbone(torch.empty(1, 3, 256, 128))
    dense = backbone.channels * 512
    parameters = sum(p.numel() for p in backbone.parameters()) + dense + 512 + 2 * 512
    assert round(parameters / 1e6, 1) == PUBLISHED[width][0]
    assert round((counter.get_total_flops() / 2 + dense) / 1e6, 1) == PUBLISHED[width][1]


def test_stages_and_strides():
    backbone = OSNet(0.25).eval()
    assert [stage.name for stage in backbone.stages] == ["conv2", "conv3", "conv4", "conv5"]
    seen = {}
    hooks = {stage.name: lambda x, name=stage.name: seen.setdefault(name, x) for stage in backbone.stages}
    assert backbone(torch.randn(2, 3, 64, 32), hooks).shape == (2, 128, 4, 2)
    for stage in backbone.stages:
        assert seen[stage.name].shape == (2, stage.channels, 64 // stage.stride, 32 // stage.stride)


def test_state_dict_keys_are_those_of_torchreid():
    keys = set(OSNet(0.25).state_dict())
    for part in [
        "conv1.conv.weight",
        "conv1.bn.running_mean",
        "conv2.0.conv1.conv.weight",
        "conv2.0.conv2a.conv1.weight",
        "conv2.0.conv2b.1.conv2.weight",
        "conv2.0.conv2d.3.bn.weight",
        "conv2.0.gate.fc1.bias",
        "conv2.0.gate.fc2.weight",
        "conv2.0.conv3.bn.weight",
        "conv2.0.downsample.conv.weight",
        "conv2.2.0.conv.weight",
        "conv3.2.0.bn.bias",
        "conv5.bn.weight",
    ]:
        assert part in keys
    assert "conv2.1.downsample.conv.weight" not in keys and not any(key.startswith("conv4.2") for key in keys)


def test_state_dict_keys_of_ain_are_those_of_torchreid():
    state = OSNet(0.25, ain=True).state_dict()
    for part in [
        "conv1.bn.weight",
        "conv2.0.conv2.0.layers.0.conv1.weight",
        "conv2.0.conv2.3.layers.3.bn.weight",
        "conv2.0.IN.weight",
        "conv3.0.conv3.bn.weight",
        "conv3.1.IN.bias",
        "conv4.0.IN.weight",
        "conv4.1.conv3.bn.weight",
        "pool2.0.conv.weight",
        "pool3.0.bn.bias",
        "conv5.conv.weight",
        "conv2.0.downsample.bn.weight",
    ]:
        assert part in state
    assert "conv1.bn.running_mean" not in state  # instance norm keeps no statistics
    assert not any(key.startswith(("conv2.0.conv3.bn", "conv3.0.IN", "conv4.1.IN")) for key in state)


@pytest.mark.parametrize("ain", [False, True])
def test_block_by_hand(ain):
    block = OSNet(0.25, ain=ain).eval().get_submodule("conv2.1")
    x = torch.rand(2, 64, 6, 3)
    middle = block.conv1(x)
    fused = 0
    for path in block.paths:
        stream = block.get_submodule(path)(middle)
        gate = torch.sigmoid(block.gate.fc2(torch.relu(block.gate.fc1(stream.mean((2, 3), keepdim=True)))))
        fused = fused + gate * stream
    expected = block.conv3(fused)
    if ain:
        expected = torch.nn.functional.instance_norm(expected)
    torch.testing.assert_close(block(x), torch.relu(expected + x))


def test_receptive_fields_grow_from_3_to_9():
    block = OSNet(0.25).get_submodule("conv2.1").train(False)
    for depth, path in enumerate(block.paths, 1):
        x = torch.rand(1, 16, 21, 21, requires_grad=True)
        # The sum over channels of a linear map: without ReLU nothing is cut off by a sign.
        stream = block.get_submodule(path)
        for module in stream.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.constant_(module.weight, 0.1)
        stream(x)[0, :, 10, 10].sum().backward()
        assert (x.grad[0].abs().sum(0) > 0).any(1).sum() == 2 * depth + 1


def test_last_stride_2_is_refused():
    with pytest.raises(RecipeError, match="OSNet has only 1"):
        build_backbone(BackboneChoice(name="osnet_x1_0", last_stride=2))
