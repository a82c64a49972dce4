"""OSNet (Zhou et al., ICCV 2019) and OSNet-AIN (TPAMI 2021) with the keys of torchreid's checkpoints.

The last fully connected layer and the classifier of those checkpoints have no place here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from unveil.nn.backbones.backbone import Backbone, FeatureHook, Stage

STREAMS = 4
WIDTHS = {"x1_0": 1.0, "x0_75": 0.75, "x0_5": 0.5, "x0_25": 0.25}


class ConvLayer(nn.Module):
    """Convolution, norm, ReLU.

    Args:
        channels_in: input channels.
        channels: output channels.
        kernel: side of the square kernel; the map keeps its size at stride 1.
        stride: of the convolution.
        norm: "batch" or "instance".
        relu: whether the ReLU comes last.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        norm: str = "batch",
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.InstanceNorm2d(channels, affine=True) if norm == "instance" else nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, channels, h / stride, w / stride)``."""
        return self.relu(self.bn(self.conv(x)))


class BareConv(nn.Module):
    """A 1x1 convolution alone, under the key that torchreid gives it."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, channels, h, w)``."""
        return self.conv(x)


class LiteConv(nn.Module):
    """Lite 3x3 layer: pointwise convolution first, then depthwise (ICCV 2019, section 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return self.relu(self.bn(self.conv2(self.conv1(x))))


class LiteStream(nn.Module):
    """Lite layers one behind the other, as OSNet-AIN names them."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(LiteConv(channels) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return self.layers(x)


class Gate(nn.Module):
    """Unified aggregation gate: a weight in [0, 1] for each channel, from its mean (ICCV 2019, eq. 3)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted map."""
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True)))))


class OSBlock(nn.Module):
    """Omni-scale residual block: four streams of receptive fields 3, 5, 7, 9, weighted by one shared gate.

    Args:
        channels_in: input channels.
        channels: output channels.
        ain: use the key names of OSNet-AIN.
        instance_norm: instance norm instead of batch norm before the sum with the shortcut (TPAMI 2021).
    """

    def __init__(self, channels_in: int, channels: int, *, ain: bool = False, instance_norm: bool = False) -> None:
        super().__init__()
        middle = channels // 4
        self.conv1 = ConvLayer(channels_in, middle)
        self.paths = [f"conv2{letter}" for letter in "abcd"]
        if ain:
            self.paths = [f"conv2.{t}" for t in range(STREAMS)]
            self.conv2 = nn.ModuleList(LiteStream(middle, t + 1) for t in range(STREAMS))
        else:
            self.conv2a: nn.Module = LiteConv(middle)
            for t in range(1, STREAMS):
                self.add_module(self.paths[t], nn.Sequential(*(LiteConv(middle) for _ in range(t + 1))))
        self.gate = Gate(middle)
        self.conv3 = BareConv(middle, channels) if instance_norm else ConvLayer(middle, channels, relu=False)
        self.downsample = ConvLayer(channels_in, channels, relu=False) if channels_in != channels else nn.Identity()
        self.IN = nn.InstanceNorm2d(channels, affine=True) if instance_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, channels, h, w)``."""
        middle = self.conv1(x)
        streams = [self.gate(self.get_submodule(path)(middle)) for path in self.paths]
        fused = torch.stack(streams).sum(dim=0)  # eq. 3: the gate is shared by all streams
        return self.relu(self.IN(self.conv3(fused)) + self.downsample(x))


def _reduction(channels: int) -> nn.Sequential:
    return nn.Sequential(ConvLayer(channels, channels), nn.AvgPool2d(2, stride=2))


# Where OSNet-AIN's search put instance norm (TPAMI 2021, figure 5): stage by stage, block by block.
_AIN_LAYOUT = ((True, True), (False, True), (True, False))


class OSNet(Backbone):
    """OSNet without its last fully connected layer; stages ``conv2`` .. ``conv5``, total stride 16.

    Args:
        width: factor on all channels.
        ain: the variant with instance norm, OSNet-AIN.
    """

    def __init__(self, width: float = 1.0, *, ain: bool = False) -> None:
        super().__init__()
        stem, *outputs = (int(width * channels) for channels in (64, 256, 384, 512))
        self.conv1 = ConvLayer(3, stem, kernel=7, stride=2, norm="instance" if ain else "batch")
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels_in, stages = stem, []
        for index, (channels, stride) in enumerate(zip(outputs, (8, 16, 16), strict=True)):
            name, reduction = f"conv{index + 2}", f"pool{index + 2}"
            norms = _AIN_LAYOUT[index] if ain else (False, False)
            blocks: list[nn.Module] = [
                OSBlock(channels_in, channels, ain=ain, instance_norm=norms[0]),
                OSBlock(channels, channels, ain=ain, instance_norm=norms[1]),
            ]
            addresses = [f"{name}.0", f"{name}.1"]
            if index < 2:
                addresses.append(reduction if ain else f"{name}.2")
                if ain:
                    self.add_module(reduction, _reduction(channels))
                else:
                    blocks.append(_reduction(channels))
            self.add_module(name, nn.Sequential(*blocks))
            stages.append(Stage(name, channels, stride, tuple(addresses)))
            channels_in = channels
        self.conv5 = ConvLayer(channels_in, channels_in)
        self.stages = (*stages, Stage("conv5", channels_in, 16, ()))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor, hooks: Mapping[str, FeatureHook] | None = None) -> Tensor:
        """Return the map of conv5; see `Backbone.forward`."""
        hooks = self.check_hooks(hooks)
        return self.run_stages(self.maxpool(self.conv1(images)), hooks)
