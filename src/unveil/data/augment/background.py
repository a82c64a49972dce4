"""Other backgrounds behind the same people: a network that never sees one twice cannot learn the place."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from unveil.records import Batch

SOFT = 5  # width in pixels of the window that softens the edge


def swap_background(batch: Batch, p: float, *, generator: torch.Generator) -> Batch:
    """Give some crops the background of another crop of the batch.

    The other crop is shifted sideways by half its width, so that its own person stands at the edges, as passers-by do.

    Args:
        batch: uint8 images, with parsing maps whose label 0 is the background.
        p: probability of each image.
        generator: on the device of the batch.

    Returns:
        The batch; the parsing maps are those of the people in front.
    """
    if batch.parsing is None:
        return batch
    chosen = torch.rand(len(batch), generator=generator, device=generator.device) < p
    rows = torch.nonzero(chosen).flatten()
    if not len(rows):
        return batch
    others = (rows + torch.randint(1, max(2, len(batch)), rows.shape, generator=generator, device=rows.device)) % len(
        batch
    )
    front = (batch.parsing[rows] > 0).float().unsqueeze(1)
    soft = F.avg_pool2d(F.pad(front, (SOFT // 2,) * 4, mode="replicate"), SOFT, 1)
    behind = batch.images[others].roll(batch.images.shape[3] // 2, dims=3).float()
    mixed = behind + (batch.images[rows].float() - behind) * soft
    images = batch.images.clone()
    images[rows] = mixed.round().to(images.dtype)
    return batch.replace(images=images)
