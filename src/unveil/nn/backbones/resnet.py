"""ResNet (He et al., CVPR 2016) with the keys of torchvision, and its IBN-a variant (Pan et al., ECCV 2018).

As in torchvision the 3x3 convolution of a bottleneck has the stride. A checkpoint of torchvision or of IBN-Net loads
as it is, without its classifier ``fc``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from unveil.nn.backbones.backbone import Backbone, FeatureHook, Stage

Norm = Callable[[int], nn.Module]


class IBN(nn.Module):
    """IBN-a: instance norm on the first half of the channels, batch norm on the rest."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = channels // 2
        self.IN = nn.InstanceNorm2d(self.first, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.first)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised map ``(B, C, h, w)``."""
        first, rest = x[:, : self.first], x[:, self.first :]
        return torch.cat([self.IN(first), self.BN(rest)], dim=1)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, for ResNet-18 and -34."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, *, stride: int, first_norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = first_norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, width, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of the block, ``stride`` times smaller."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution and a shortcut, for ResNet-50 and -101."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, *, stride: int, first_norm: Norm) -> None:
        super().__init__()
        channels = width * self.expansion
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = first_norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, channels, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of the block, ``stride`` times smaller."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(channels_in: int, channels: int, *, stride: int) -> nn.Sequential | None:
    if stride == 1 and channels_in == channels:
        return None
    return nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))


LAYOUTS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}


Stem = Literal["padded", "ceil", "no_relu"]


class ResNet(Backbone):
    """ResNet without its classifier; stages ``layer1`` .. ``layer4``.

    Args:
        depth: 18, 34, 50 or 101.
        last_stride: stride of layer4; 1 gives a map of 1/16 of the image, 2 of 1/32.
        ibn: IBN-a in every block of layer1 .. layer3.
        width: factor on all channels; only 1 takes weights of torchvision.
        stem: what precedes layer1: "padded" as in torchvision; "ceil", a pooling without padding that rounds up, as in
            FastReID; "no_relu", no ReLU behind the first batch norm, as in the published code of BoT.
    """

    def __init__(
        self, depth: int, last_stride: int = 1, *, ibn: bool = False, width: float = 1.0, stem: Stem = "padded"
    ) -> None:
        super().__init__()
        block, counts = LAYOUTS[depth]
        channels = round(64 * width)
        self.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.Identity() if stem == "no_relu" else nn.ReLU(inplace=True)
        ceil = stem == "ceil"
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=0 if ceil else 1, ceil_mode=ceil)
        total, stages = 4, []
        for number, (count, stride) in enumerate(zip(counts, (1, 2, 2, last_stride), strict=True), 1):
            inner = round(32 * 2**number * width)
            norm: Norm = IBN if ibn and number < 4 else nn.BatchNorm2d
            blocks = []
            for index in range(count):
                blocks.append(block(channels, inner, stride=stride if index == 0 else 1, first_norm=norm))
                channels = inner * block.expansion
            total *= stride
            name = f"layer{number}"
            self.add_module(name, nn.Sequential(*blocks))
            stages.append(Stage(name, channels, total, tuple(f"{name}.{i}" for i in range(count))))
        self.stages = tuple(stages)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor, hooks: Mapping[str, FeatureHook] | None = None) -> Tensor:
        """Return the map of layer4; see `Backbone.forward`."""
        hooks = self.check_hooks(hooks)
        return self.run_stages(self.maxpool(self.relu(self.bn1(self.conv1(images)))), hooks)
