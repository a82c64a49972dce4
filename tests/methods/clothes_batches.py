"""Small methods for changed clothes, batches of people in two outfits, and a few steps of training."""

import torch

from unveil.methods import build_method
from unveil.methods.method import LabelSpace, Step
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice, OptimSettings
from unveil.records import Batch
from unveil.training.optimisers import auxiliary_update, build_auxiliary_optimiser, build_optimiser

NAMES = ("cal", "oc4", "cre", "aim")


OUTFITS = (0, 0, 1, 1, 2, 2, 3, 3)  # two outfits a person


def make(name, backbone="resnet18_x0_5", **settings):
    torch.manual_seed(0)
    space = LabelSpace(4, len(OUTFITS), OUTFITS)
    return build_method(name, settings, backbone=build_backbone(BackboneChoice(name=backbone)), space=space)


def raw(seed=0, size=8):
    """A batch as the image store gives it: pixels, and parsing maps of label set cre7 in blocks."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (size, 3, 64, 32), generator=generator, dtype=torch.uint8)
    maps = torch.randint(7, (size, 8, 4), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    clothes = torch.arange(size) % len(OUTFITS)
    return Batch(images, torch.tensor(OUTFITS)[clothes], clothes=clothes, parsing=maps.to(torch.uint8))


def normalised(batch):
    return batch.replace(images=batch.images.float() / 64 - 2)


def batch(method, seed=0):
    """A batch as `Method.losses` gets it."""
    return normalised(method.expand_batch(raw(seed)))


def unlabelled(seed=1):
    return Batch(normalised(raw(seed)).images, torch.full((8,), -1))


def total(terms):
    return torch.stack(list(terms.values())).sum()


def train(method, iterations, epoch=30):
    """Train on one batch as the loop does; return the losses."""
    optim = OptimSettings(lr=1e-3)
    optimiser, inner = build_optimiser(method, optim), build_auxiliary_optimiser(method, optim)
    losses = []
    for iteration in range(iterations):
        loss = total(method(batch(method), Step(epoch, iteration, auxiliary_update(inner))))
        assert loss.isfinite()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        if iteration == 0:
            unused = [n for n, p in method.named_parameters() if p.requires_grad and p.grad is None]
            assert unused == []
        optimiser.step()
    return losses
