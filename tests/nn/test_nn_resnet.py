import pytest
import torch

from unveil.nn.backbones.choice import BACKBONES
from unveil.nn.backbones.resnet import IBN, ResNet


@pytest.mark.parametrize(
    ("depth", "parameters"),
    # torchvision's published counts less the 1000-way classifier.
    [
        (18, 11_689_512 - 513_000),
        (34, 21_797_672 - 513_000),
        (50, 25_557_032 - 2_049_000),
        (101, 44_549_160 - 2_049_000),
    ],
)
def test_parameter_counts_are_those_of_torchvision(depth, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in ResNet(depth).parameters()) == parameters


@pytest.mark.parametrize(("last_stride", "size"), [(1, (4, 2)), (2, (2, 1))])
def test_map_and_stages(last_stride, size):
    backbone = ResNet(50, last_stride).eval()
    seen = {}
    hooks = {stage.name: lambda x, name=stage.name: seen.setdefault(name, x) for stage in backbone.stages}
    out = backbone(torch.randn(1, 3, 64, 32), hooks)
    assert out.shape == (1, backbone.channels, *size)
    for stage in backbone.stages:
        assert seen[stage.name].shape == (1, stage.channels, 64 // stage.stride, 32 // stage.stride)
    assert [len(stage.blocks) for stage in backbone.stages] == [3, 4, 6, 3]


def test_half_width_halves_every_channel_and_learns_with_the_same_layout():
    with torch.device("meta"):
        whole, half = ResNet(18), BACKBONES["resnet18_x0_5"](1)
    assert [s.channels for s in half.stages] == [s.channels // 2 for s in whole.stages] == [32, 64, 128, 256]
    assert half.state_dict().keys() == whole.state_dict().keys()
    assert [s.blocks for s in half.stages] == [s.blocks for s in whole.stages]


def test_last_stride_is_in_the_middle_convolution_and_the_shortcut():
    for last_stride in (1, 2):
        block = ResNet(50, last_stride).get_submodule("layer4.0")
        strides = [block.conv1.stride, block.conv2.stride, block.conv3.stride, block.downsample[0].stride]
        assert strides == [(1, 1), (last_stride,) * 2, (1, 1), (last_stride,) * 2]


def test_state_dict_keys_are_those_of_torchvision():
    keys = set(ResNet(50).state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.downsample.0.weight", "layer1.0.downsample.1.bias"} <= keys
    assert {"layer4.2.conv3.weight", "layer4.2.bn3.num_batches_tracked", "layer3.5.bn1.weight"} <= keys
    assert "layer1.1.downsample.0.weight" not in keys
    assert "layer1.0.downsample.0.weight" not in ResNet(18).state_dict()
    assert len(keys) == 318


def test_ibn_a_in_the_first_three_stages_only():
    backbone = ResNet(50, ibn=True)
    normed = {name for name, module in backbone.named_modules() if isinstance(module, IBN)}
    assert normed == {f"{block}.bn1" for stage in backbone.stages[:3] for block in stage.blocks}
    assert {"layer1.0.bn1.IN.weight", "layer1.0.bn1.BN.running_var"} <= set(backbone.state_dict())


def test_ibn_normalises_the_first_half_by_instance():
    ibn = IBN(6).eval()
    x = torch.randn(2, 6, 4, 4) * 3 + 1
    y = ibn(x)
    torch.testing.assert_close(y[:, :3].mean(dim=(2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y[:, 3:], x[:, 3:] / (1 + 1e-5) ** 0.5)
    assert ibn.half().IN.weight.dtype == torch.float16  # a module keeps its own methods


def test_residual_blocks_by_hand():
    backbone = ResNet(18).eval()
    x = torch.randn(2, 64, 8, 4)
    block = backbone.get_submodule("layer1.0")
    inner = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    torch.testing.assert_close(block(x), torch.relu(x + inner))


@pytest.mark.parametrize("name", ["resnet18", "resnet18_ibn_a", "osnet_x0_25", "osnet_ain_x0_25"])
def test_taps_change_what_follows_in_order(name):
    backbone = BACKBONES[name](1).eval()
    images = torch.randn(1, 3, 64, 32)
    calls = []

    def note(address):
        def hook(x):
            calls.append(address)
            return x

        return hook

    addresses = [a for stage in backbone.stages for a in (*stage.blocks, stage.name)]
    plain = backbone(images)
    torch.testing.assert_close(backbone(images, {a: note(a) for a in addresses}), plain)
    assert calls == addresses
    assert not torch.allclose(backbone(images, {backbone.stages[1].blocks[0]: lambda x: x + 1}), plain)
    assert backbone(images, {backbone.stages[-1].name: torch.zeros_like}).abs().max() == 0


def test_unknown_tap_is_refused():
    with pytest.raises(ValueError, match="no stage or block 'layer5'"):
        ResNet(18)(torch.zeros(1, 3, 32, 32), {"layer5": lambda x: x})


def test_channels_last_gives_the_same_map():
    backbone = ResNet(18, ibn=True).eval()
    images = torch.randn(2, 3, 64, 32)
    plain = backbone(images)
    other = backbone.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(other, plain, atol=1e-4, rtol=1e-4)
