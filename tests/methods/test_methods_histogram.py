import colorsys

import torch

from unveil.methods import build_method
from unveil.methods.method import LabelSpace, Step
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice
from unveil.records import Batch


def histogram(**settings):
    values = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), **settings}
    return build_method(
        "histogram", values, backbone=build_backbone(BackboneChoice(name="resnet18_x0_5")), space=LabelSpace(1)
    ).eval()


def naive_code(r, g, b, bins):
    code = 0
    for channel, count in zip(colorsys.rgb_to_hsv(r, g, b), bins, strict=True):
        code = code * count + min(int(channel * count), count - 1)
    return code


def test_counts_are_those_of_the_standard_conversion():
    images = torch.rand(2, 3, 12, 4, generator=torch.Generator().manual_seed(0))
    embedding = histogram(stripes=3).embed(Batch(images, torch.zeros(2)))
    assert embedding.vectors.shape == (2, 3, 128)
    assert embedding.names == ("stripe1", "stripe2", "stripe3")
    for image in range(2):
        for stripe in range(3):
            counts = torch.zeros(128)
            for y in range(4 * stripe, 4 * stripe + 4):
                for x in range(4):
                    counts[naive_code(*images[image, :, y, x].tolist(), (8, 4, 4))] += 1
            torch.testing.assert_close(embedding.vectors[image, stripe], (counts / 16).sqrt())


def test_what_is_darker_than_black_or_brighter_than_white_is_black_or_white():
    images = 2 * torch.rand(1, 3, 6, 4, generator=torch.Generator().manual_seed(0)) - 0.5
    found, clipped = (histogram().embed(Batch(x, torch.zeros(1))).vectors for x in (images, images.clamp(0, 1)))
    torch.testing.assert_close(found, clipped)


def test_there_is_nothing_to_learn():
    method = histogram()
    terms = method.losses(Batch(torch.rand(1, 3, 6, 4), torch.zeros(1)), Step())
    assert {name: term.item() for name, term in terms.items()} == {"none": 0}
    terms["none"].backward()
    assert [parameter.grad.item() for parameter in method.parameters()] == [0]


def test_normalisation_is_undone():
    images = torch.rand(1, 3, 6, 4)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    normed = (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    plain = histogram().embed(Batch(images, torch.zeros(1))).vectors
    torch.testing.assert_close(histogram(mean=mean, std=std).embed(Batch(normed, torch.zeros(1))).vectors, plain)
