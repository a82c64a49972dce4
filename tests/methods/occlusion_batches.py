"""Small methods for occluded people, batches to train and test them on, and how well they find people again."""

import torch
import torch.nn.functional as F

from unveil.methods import build_method
from unveil.methods.method import LabelSpace
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice
from unveil.records import Batch

SMALL = {
    "ianet": {},
    "sbs": {},
    "ssgr": {},
    "bpbreid": {"dim": 16},
    "pab": {"dim": 16, "hidden": 16},
    "ocnet": {"dim": 16},
}


def make(name, backbone="resnet18_x0_5", persons=4, **settings):
    torch.manual_seed(0)
    return build_method(
        name, SMALL[name] | settings, backbone=build_backbone(BackboneChoice(name=backbone)), space=LabelSpace(persons)
    )


def batch(seed=0, parsing=True):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(8, 3, 64, 32, generator=generator)
    maps = torch.randint(7, (8, 8, 4), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    return Batch(images, torch.arange(8) // 2, parsing=maps.to(torch.uint8) if parsing else None)


def unlabelled(seed=1):
    return Batch(batch(seed).images, torch.full((8,), -1))


def total(terms):
    return torch.stack(list(terms.values())).sum()


def people(noise_seed):
    """Two crops of each of 8 people, whose clothes are random bands; noise and the colour of the light differ."""
    bands = torch.randn(8, 3, 4, 1, generator=torch.Generator().manual_seed(7)).repeat_interleave(2, dim=0)
    generator = torch.Generator().manual_seed(noise_seed)
    images = bands.repeat_interleave(16, dim=2).expand(-1, -1, -1, 32)
    light = torch.randn(16, 3, 1, 1, generator=generator)
    images = images + light + 0.5 * torch.randn(images.shape, generator=generator)
    parsing = torch.tensor([1, 4, 5, 6], dtype=torch.uint8).repeat_interleave(16)[None, :, None].expand(16, 64, 32)
    return Batch(images, torch.arange(16) // 2, parsing=parsing)


def rank1(embedding, persons):
    vectors = F.normalize(embedding.vectors, dim=2) if embedding.metric == "cosine" else embedding.vectors
    distances = torch.cdist(vectors.transpose(0, 1), vectors.transpose(0, 1))
    weights = torch.tensor(embedding.weights)[:, None, None]
    shared = weights * embedding.visibility.T[:, :, None] * embedding.visibility.T[:, None, :]
    mean = (distances * shared).sum(0) / shared.sum(0)
    return (persons[mean.fill_diagonal_(torch.inf).argmin(1)] == persons).float().mean().item()
