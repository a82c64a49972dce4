"""What a method costs: parameters, multiply-adds and the size of its embedding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from unveil.methods import build_method, method_class
from unveil.methods.method import LabelSpace, Requirements
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice, InputSettings
from unveil.records import Batch


@dataclass(frozen=True)
class Summary:
    """Figures of a method on a backbone.

    Args:
        method: name of the method.
        paper: where it comes from.
        backbone: name of the backbone.
        size: height and width of the crop, in pixels.
        parameters: all of training, with the classifiers of ``persons`` identities.
        multiply_adds: of embedding one crop: convolutions and matrix products, as `torch.utils.flop_counter` counts.
        vectors: names of the vectors of a crop.
        dimensions: length of each vector.
        requirements: what training asks for beside images and identities.
    """

    method: str
    paper: str
    backbone: str
    size: tuple[int, int]
    parameters: int
    multiply_adds: int
    vectors: tuple[str, ...]
    dimensions: int
    requirements: tuple[str, ...]


def describe(
    name: str,
    backbone: BackboneChoice | None = None,
    *,
    size: InputSettings | None = None,
    settings: dict[str, object] | None = None,
    space: LabelSpace | None = None,
) -> Summary:
    """Build a method and measure it on an empty crop.

    Args:
        name: name of the method.
        backbone: which backbone; its weights are not read.
        size: size of the crop.
        settings: settings of the method; the paper's for those that are left out.
        space: identities and outfits that its classifiers are made for; those of Market-1501 with one outfit each
            when left out.

    Raises:
        RecipeError: the method, its settings or the backbone is unknown.
    """
    choice = backbone or BackboneChoice()
    shape = size or InputSettings()
    method = build_method(name, settings or {}, backbone=build_backbone(choice), space=space or _MARKET).eval()
    images = torch.zeros(1, 3, shape.height, shape.width)
    parsing = torch.zeros(1, shape.height, shape.width, dtype=torch.uint8) if method.requirements.test_parsing else None
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        embedding = method.embed(Batch(images, torch.zeros(1, dtype=torch.long), parsing=parsing))
    return Summary(
        method=name,
        paper=method_class(name).paper,
        backbone=choice.name,
        size=(shape.height, shape.width),
        parameters=sum(p.numel() for p in method.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        vectors=embedding.names,
        dimensions=embedding.vectors.shape[2],
        requirements=_words(method.requirements),
    )


_MARKET = LabelSpace(persons=751, clothes=751, outfits=tuple(range(751)))


def _words(requirements: Requirements) -> tuple[str, ...]:
    clothes = ("clothes labels",) if requirements.train_clothes else ()
    return clothes + ((f"parsing maps ({requirements.train_parsing})",) if requirements.train_parsing else ())
