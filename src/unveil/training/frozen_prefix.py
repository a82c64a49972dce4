"""The frozen stages of a backbone as an OpenVINO graph: on processors they cost a third of what PyTorch takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from unveil.errors import MissingExtraError, RecipeError
from unveil.nn.backbones.backbone import Backbone


def compile_frozen(backbone: Backbone) -> Callable[[Tensor], Tensor]:
    """Return the frozen stages as a function from images ``(B, 3, H, W)`` to the map of the last of them.

    Args:
        backbone: on the CPU, with frozen stages; H and W are multiples of its stride.

    Raises:
        RecipeError: no stage is frozen, or the backbone cannot run them apart.
        MissingExtraError: OpenVINO is not installed.
    """
    if not backbone.frozen:
        raise RecipeError("train.frozen_engine=openvino runs frozen stages: set backbone.frozen_stages")
    try:
        import openvino
    except ImportError:
        raise MissingExtraError("train.frozen_engine=openvino", "openvino") from None
    mode = backbone.training
    graph = openvino.convert_model(_Frozen(backbone).eval(), example_input=torch.zeros(1, 3, 256, 128))
    backbone.train(mode)
    graph.reshape([-1, 3, -1, -1])
    threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = openvino.Core().compile_model(graph, "CPU", threads)

    def run(images: Tensor) -> Tensor:
        result = np.array(compiled(images.detach().contiguous().numpy())[0])
        return torch.from_numpy(result).contiguous(memory_format=torch.channels_last)

    return run


class _Frozen(nn.Module):
    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone.run_frozen(images)
