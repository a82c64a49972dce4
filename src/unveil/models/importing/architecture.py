"""Which backbone a checkpoint holds, told from the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from unveil.errors import CheckpointError
from unveil.nn.backbones.osnet import WIDTHS
from unveil.nn.backbones.resnet import LAYOUTS, Bottleneck, Stem

_OSNET_STEM = "conv1.conv.weight"
_STEMS: dict[Stem, str] = {"padded": "", "ceil": "_ceil", "no_relu": "_no_relu"}


def is_osnet(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors have the names of OSNet."""
    return _OSNET_STEM in tensors


def osnet_name(tensors: Mapping[str, Tensor]) -> str:
    """Return the name in `unveil.nn.backbones.choice.BACKBONES` of the OSNet that tensors belong to.

    Args:
        tensors: with the keys of torchreid.

    Raises:
        CheckpointError: it is of a width that this package does not have.
    """
    stem = len(tensors[_OSNET_STEM])
    names = {int(64 * width): name for name, width in WIDTHS.items()}
    if stem not in names:
        known = ", ".join(f"{channels} ({name})" for channels, name in names.items())
        raise CheckpointError(f"{_OSNET_STEM} has {stem} channels; an OSNet of this package has {known}")
    ain = any(key.startswith("conv2.0.conv2.0.layers.") for key in tensors)
    return f"osnet_{'ain_' if ain else ''}{names[stem]}"


def resnet_name(tensors: Mapping[str, Tensor], stem: Stem = "padded") -> str:
    """Return the name in `unveil.nn.backbones.choice.BACKBONES` of the ResNet that tensors belong to.

    Args:
        tensors: with the keys of torchvision.
        stem: what precedes its first stage; see `unveil.nn.backbones.resnet.ResNet`.

    Raises:
        CheckpointError: they belong to no ResNet, or to one that this package does not have.
    """
    blocks = [_blocks(tensors, f"layer{number}") for number in range(1, 5)]
    if not all(blocks) or "conv1.weight" not in tensors:
        some = ", ".join(sorted(tensors)[:5])
        raise CheckpointError(f"no ResNet (conv1, layer1 .. layer4) and no OSNet is in it; its keys begin with {some}")
    bottleneck = "layer1.0.conv3.weight" in tensors
    for depth, (block, counts) in LAYOUTS.items():
        if list(counts) == blocks and (block is Bottleneck) == bottleneck:
            ibn = "_ibn_a" if "layer1.0.bn1.IN.weight" in tensors else ""
            return f"resnet{depth}{ibn}{_STEMS[stem]}"
    known = ", ".join(f"ResNet-{depth}" for depth in LAYOUTS)
    raise CheckpointError(f"a ResNet of {blocks} blocks is in it; this package has {known}")


def _blocks(tensors: Mapping[str, Tensor], stage: str) -> int:
    return len({found[1] for key in tensors if (found := re.match(rf"{stage}\.(\d+)\.", key))})
