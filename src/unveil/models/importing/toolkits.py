"""How each toolkit names its weights and what stands around its backbone, read from its published code.

Each function takes the tensors of a file and returns the recipe of the same network in this package with the tensors
under its names. A key that a function does not know stays as it is, and is told as one that does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from unveil.errors import CheckpointError, nearest
from unveil.models.importing.architecture import is_osnet, osnet_name, resnet_name
from unveil.models.importing.plan import Plan, Tensors, renamed, without
from unveil.models.importing.transformers import clipreid, transreid

_LARGEST_SCALE = 1.0  # a mean above it is on 0..255


def _torchreid(tensors: Tensors) -> Plan:
    """torchreid (Zhou and Xiang, arXiv:1910.10093): backbone, mean, then ``fc`` where there is one."""
    own, left = without(tensors, r"classifier\.")
    osnet = is_osnet(own)
    projected = "fc.0.weight" in own
    recipe = {
        "backbone.name": osnet_name(own) if osnet else resnet_name(own),
        # resnet50_fc512 is the only ResNet of its zoo with an fc, and the only one whose last stride is 1.
        "backbone.last_stride": 1 if osnet or projected else 2,
        "method.name": "bot",
        "method.neck": False,
        "method.projection": len(own["fc.0.weight"]) if projected else 0,
    }
    return Plan(recipe, renamed(own, (r"fc\.", "projection."), (r"", "backbone.")), left)


def _fastreid(tensors: Tensors) -> Plan:
    """FastReID (He et al., arXiv:2006.02631): BoT, AGW and SBS; tests with the vector behind the neck."""
    own, left = without(tensors, r"heads\.(weight$|classifier\.|cls_layer\.)", r"pixel_(mean|std)$")
    backbone = {key.removeprefix("backbone."): value for key, value in own.items() if key.startswith("backbone.")}
    non_local = any(key.startswith("NL_") for key in backbone)
    learnt = "heads.pool_layer.p" in own
    recipe: dict[str, Any] = {
        "backbone.name": resnet_name(backbone, "ceil"),
        "method.name": "sbs",
        "method.non_local": non_local,
        # BoT averages; AGW and SBS, which have non-local blocks, take the generalised mean, AGW with p = 3.
        "method.pool": "gem" if learnt or non_local else "avg",
        "input.interpolation": "bicubic",
        "input.height": 384 if learnt else 256,
        "input.width": 128,
    }
    for key, name in (("pixel_mean", "mean"), ("pixel_std", "std")):
        if key in tensors:
            values = tensors[key].flatten().double().tolist()
            scale = 255 if max(values) > _LARGEST_SCALE else 1
            recipe[f"input.{name}"] = [value / scale for value in values]
    order = sorted({_place(key) for key in backbone if key.startswith("NL_")})
    blocks = [(rf"backbone\.NL_{stage}\.{place}\.", f"attention.blocks.{n}.") for n, (stage, place) in enumerate(order)]
    heads = ((r"heads\.bottleneck\.0\.", "neck."), (r"heads\.bnneck\.", "neck."), (r"heads\.pool_layer\.", "pool."))
    own = renamed(own, *blocks, *heads)
    inner = (("g", "value"), ("theta", "query"), ("phi", "key"), (r"W\.0", "out"), (r"W\.1", "norm"))
    for theirs, ours in inner:
        own = renamed(own, (rf"(attention\.blocks\.\d+)\.{theirs}\.", rf"\1.{ours}."))
    return Plan(recipe, own, left)


def _bot(tensors: Tensors) -> Plan:
    """BoT's published code (Luo et al., CVPRW 2019): mean, BNNeck; tests with the vector behind it."""
    own, left = without(tensors, r"classifier\.", r"base\.fc\.")
    base = {key.removeprefix("base."): value for key, value in own.items() if key.startswith("base.")}
    ibn = "layer1.0.bn1.IN.weight" in base
    recipe = {
        # Its plain ResNets have no ReLU behind the first batch norm; those with IBN-a have it.
        "backbone.name": resnet_name(base, "padded" if ibn else "no_relu"),
        "method.name": "bot",
        "method.neck": any(key.startswith("bottleneck.") for key in own),
    }
    return Plan(recipe, renamed(own, (r"base\.", "backbone."), (r"bottleneck\.", "neck.")), left)


def _cal(tensors: Tensors) -> Plan:
    """CAL (Gu et al., CVPR 2022): torchvision's ResNet by position, maximum and mean, affine neck; mirrored too."""
    children = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    own = renamed(tensors, *((rf"base\.{n}\.", f"backbone.{name}.") for n, name in enumerate(children)))
    backbone = {key.removeprefix("backbone."): value for key, value in own.items() if key.startswith("backbone.")}
    name = resnet_name(backbone)
    own = renamed(own, (r"bn\.", "neck."), (r"globalpooling\.", "pool."))
    if "neck.weight" not in own:
        raise CheckpointError("it has no neck (bn.weight)")
    last = "layer4.0.conv3.weight" if "layer4.0.conv3.weight" in backbone else "layer4.0.conv2.weight"
    channels = len(backbone[last])
    both = len(own["neck.weight"]) == 2 * channels
    recipe = {
        "backbone.name": name,
        "method.name": "cal",
        "method.clothes_loss": False,
        "method.pool": "gem" if "pool.p" in own else "maxavg" if both else "avg",
        "input.height": 384,
        "input.width": 192,
    }
    return Plan(recipe, own)


TOOLKITS: dict[str, Callable[[Tensors], Plan]] = {
    "torchreid": _torchreid,
    "fastreid": _fastreid,
    "bot": _bot,
    "cal": _cal,
    "transreid": transreid,
    "clipreid": clipreid,
}


def find_toolkit(name: str) -> Callable[[Tensors], Plan]:
    """Return what turns tensors of a toolkit into a `Plan`.

    Raises:
        CheckpointError: there is none of that name.
    """
    if name not in TOOLKITS:
        raise CheckpointError(f"no toolkit {name!r}{nearest(name, TOOLKITS)}; there are {', '.join(TOOLKITS)}")
    return TOOLKITS[name]


def _place(key: str) -> tuple[int, int]:
    found = re.match(r"NL_(\d+)\.(\d+)\.", key)
    return (int(found[1]), int(found[2])) if found else (0, 0)
