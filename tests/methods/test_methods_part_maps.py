"""Which channel of the predicted maps is which part, told by maps that are given: the first is the background's."""

import pytest
import torch
from occlusion_batches import make, unlabelled
from torch import nn

from unveil.methods import build_method
from unveil.methods.method import LabelSpace
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice


class Everywhere(nn.Module):
    """Log probabilities of maps on which every position has one label."""

    def __init__(self, label: int, labels: int) -> None:
        super().__init__()
        self.logits = torch.full((labels,), -1e4)
        self.logits[label] = 0.0

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        count, _, height, width = features.shape
        return self.logits[None, :, None, None].expand(count, -1, height, width)


def combined():
    torch.manual_seed(0)
    return build_method(
        "combined", {"dim": 16, "hidden": 16, "parts": True},
        backbone=build_backbone(BackboneChoice(name="resnet18_x0_5")),
        space=LabelSpace(4),
    )  # fmt: skip


METHODS = {"pab": lambda: make("pab"), "bpbreid": lambda: make("bpbreid"), "combined": combined}


def parts_of(method) -> list[str]:
    with torch.no_grad():
        names = method.embed(unlabelled()).names
    return [name for name in names if name not in ("foreground", "global")]


@pytest.fixture(params=METHODS)
def method(request):
    return METHODS[request.param]().eval()


def test_a_label_is_the_part_of_its_name_and_the_background_none(method):
    parts = parts_of(method)
    for label in range(len(parts) + 1):
        method.predictor = Everywhere(label, len(parts) + 1)
        with torch.no_grad():
            embedding = method.embed(unlabelled())
        seen = {name for name, v in zip(embedding.names, embedding.visibility[0], strict=True) if v > 0}
        assert seen & set(parts) == ({parts[label - 1]} if label else set())
        assert (embedding.visibility == embedding.visibility[0]).all()


def test_nothing_of_the_background_comes_into_the_foreground(method):
    labels = len(parts_of(method)) + 1
    method.predictor = Everywhere(0, labels)
    with torch.no_grad():
        embedding = method.embed(unlabelled())
    foreground = embedding.vectors[:, embedding.names.index("foreground")]
    torch.testing.assert_close(foreground, foreground[:1].expand_as(foreground))
    method.predictor = Everywhere(1, labels)
    with torch.no_grad():
        embedding = method.embed(unlabelled())
    foreground = embedding.vectors[:, embedding.names.index("foreground")]
    assert not torch.allclose(foreground, foreground[:1].expand_as(foreground), atol=1e-3)
