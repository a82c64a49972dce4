"""The frozen stages of a backbone as an OpenVINO graph: on processors they cost a third of what PyTorch takes."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from unveil.errors import MissingExtraError, RecipeError
from unveil.methods.method import Method
from unveil.nn.backbones.backbone import Backbone

log = logging.getLogger(__name__)


def use_frozen_engine(method: Method) -> None:
    """Let OpenVINO run the frozen stages of a method that trains on the CPU; elsewhere PyTorch runs them as it is.

    Raises:
        RecipeError: the method has no backbone, no stage is frozen, or the backbone cannot run them apart.
        MissingExtraError: OpenVINO is not installed.
    """
    if not method.has_backbone:
        raise RecipeError(f"train.frozen_engine=openvino: {type(method).__name__} has no backbone whose stages it runs")
    device = next(method.backbone.parameters()).device
    if device.type != "cpu":
        # A recipe for processors trains on a machine with a GPU as it is.
        log.info("train.frozen_engine=openvino is for processors: PyTorch runs the frozen stages on %s", device)
        return
    method.backbone.frozen_engine = compile_frozen(method.backbone)


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
    if type(backbone).run_frozen is Backbone.run_frozen:
        raise RecipeError(
            f"train.frozen_engine=openvino: {type(backbone).__name__} does not run its frozen stages apart; set "
            "train.frozen_engine=pytorch"
        )
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
