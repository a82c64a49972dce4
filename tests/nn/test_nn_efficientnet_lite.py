"""EfficientNet-Lite against timm's, on the same weights."""

from __future__ import annotations

import pytest
import torch

from unveil.nn.backbones.choice import BACKBONES
from unveil.nn.backbones.efficientnet_lite import SCALES, EfficientNetLite
from unveil.nn.backbones.torchvision_guard import guard_torchvision

_BLOCKS_OF_STAGE = {0: (1, 2, 2, 3, 3, 4, 1), 1: (1, 3, 3, 4, 4, 5, 1), 2: (1, 3, 3, 4, 4, 5, 1)}


@pytest.mark.parametrize("number", SCALES)
def test_the_map_is_timms_on_the_same_weights(number):
    guard_torchvision()
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(f"tf_efficientnet_lite{number}", num_classes=0, global_pool="").eval()
    ours = EfficientNetLite(number, last_stride=2).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 127, 65, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("number", SCALES)
def test_stages_and_taps_address_the_blocks(number):
    network = EfficientNetLite(number, last_stride=1).eval()
    assert tuple(len(stage.blocks) for stage in network.stages[:-1]) == _BLOCKS_OF_STAGE[number]
    seen = {}
    hooks = {s.name: lambda x, s=s: seen.setdefault(s.name, x) for s in network.stages}
    with torch.inference_mode():
        out = network(torch.zeros(1, 3, 64, 32), hooks)
    for stage in network.stages:
        assert seen[stage.name].shape[1:] == (stage.channels, 64 // stage.stride, 32 // stage.stride)
    assert out.shape == (1, network.channels, 4, 2)
    with pytest.raises(ValueError, match=r"blocks\.7"):
        network(torch.zeros(1, 3, 64, 32), {"blocks.7": lambda x: x})


def test_keys_of_the_package_are_renamed_in_order():
    network = EfficientNetLite(0)
    own = network.state_dict()
    back = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
            "conv_pwl": "_project_conv", "bn3": "_bn2"}  # fmt: skip
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    outside = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    blocks = [address for stage in network.stages for address in stage.blocks]
    package = {"_fc.weight": torch.zeros(1000, 1280)}
    for key, value in own.items():
        for number, address in enumerate(blocks):
            if key.startswith(address + "."):
                layer, rest = key.removeprefix(address + ".").split(".")
                package[f"_blocks.{number}.{(first if number == 0 else back)[layer]}.{rest}"] = value
        layer, _, rest = key.partition(".")
        if layer in outside:
            package[f"{outside[layer]}.{rest}"] = value
    renamed = network.own_keys(package)
    assert set(renamed) == set(own)
    assert all(renamed[key] is package_value for key, package_value in own.items())


@pytest.mark.parametrize("last_stride", (1, 2))
def test_built_by_name(last_stride):
    network = BACKBONES["efficientnet_lite0"](last_stride)
    assert network.stages[-1].stride == 16 * last_stride
