"""Lets torchvision be imported beside a torch that its compiled library was not built for.

The CPU build of torch and the CUDA build of torchvision, which is what a package index gives, are such a pair:
torchvision then lacks its operators, yet describes two of them while it is imported, and fails.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path

import torch

# The operators that torchvision describes at import even where its library did not load.
DESCRIBED = ("nms", "qnms")
_libraries: list[torch.library.Library] = []


@cache
def guard_torchvision() -> bool:
    """Declare the missing operators of torchvision, without giving them a body; call before the first import of it.

    Returns:
        Whether they were missing; False too where torchvision is absent or already imported.
    """
    found = None if "torchvision" in sys.modules else importlib.util.find_spec("torchvision")
    if found is None or found.origin is None or _own_library_loads(Path(found.origin).parent):
        return False
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in DESCRIBED:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)  # the declarations live as long as this object
    return True


def _own_library_loads(package: Path) -> bool:
    for path in sorted([*package.glob("_C*.so"), *package.glob("_C*.pyd")]):
        try:
            torch.ops.load_library(path)
        except OSError:
            continue
        return True
    return False
