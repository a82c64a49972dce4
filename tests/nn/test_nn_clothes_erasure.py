from __future__ import annotations

import pytest
import torch

from unveil.nn.clothes_erasure import append_without_clothes, recolour
from unveil.records import Batch


@pytest.fixture
def crops() -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(20, 200, (4, 3, 16, 8), generator=generator, dtype=torch.uint8)
    return Batch(images, persons=torch.tensor([0, 0, 1, 1]), clothes=torch.tensor([0, 1, 2, 2]))


@pytest.fixture
def garments() -> torch.Tensor:
    maps = torch.zeros(4, 16, 8, dtype=torch.uint8)
    maps[:3, 4:9] = 1
    maps[:3, 9:14, 2:6] = 2
    return maps  # the last crop shows no clothes


def test_copies_are_black_where_clothes_are_and_the_same_elsewhere(crops, garments):
    out = append_without_clothes(crops, garments, outfits=3)
    worn = (garments > 0)[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(out.images[:4], crops.images)
    assert (out.images[4:][worn] == 0).all() and torch.equal(out.images[4:][~worn], crops.images[~worn])
    assert out.persons.tolist() == [0, 0, 1, 1] * 2
    assert out.clothes.tolist() == [0, 1, 2, 2, 3, 4, 5, 5]
    assert append_without_clothes(crops, garments).clothes.tolist() == [0, 1, 2, 2] * 2


def test_a_garment_gets_one_colour_and_keeps_its_folds(crops, garments):
    torch.manual_seed(0)
    painted = recolour(crops.images, garments)
    worn = (garments > 0)[:, None].expand(-1, 3, -1, -1)
    assert painted.dtype == torch.uint8 and torch.equal(painted[~worn], crops.images[~worn])
    light = crops.images.float().mean(1)
    for crop in range(3):
        tints = []
        for garment in (1, 2):
            mask = garments[crop] == garment
            before, after = light[crop][mask], painted[crop][:, mask].float()
            inside = ((after > 0) & (after < 255)).all(0)  # what was not cut off at black or white
            # One colour: channels differ by the same amount everywhere; folds: light goes up where it went up.
            for channel in after[:, inside]:
                assert torch.corrcoef(torch.stack([before[inside], channel]))[0, 1] > 0.99
            spread = after[0, inside] - after[1, inside]
            assert spread.max() - spread.min() <= 2
            tints.append(after.mean(1))
        assert (tints[0] - tints[1]).abs().max() > 10  # each garment another


def test_the_share_of_recoloured_copies_is_kept_and_the_rest_is_black(crops, garments):
    torch.manual_seed(0)
    many = crops.map(lambda t: t[:1].repeat(400, *[1] * (t.ndim - 1)))
    out = append_without_clothes(many, garments[:1].repeat(400, 1, 1), recoloured=0.25).images[400:]
    black = (out[:, :, 4:9] == 0).flatten(1).all(1)
    assert 0.68 <= black.float().mean() <= 0.82
    torch.manual_seed(0)
    again = append_without_clothes(many, garments[:1].repeat(400, 1, 1), recoloured=0.25).images[400:]
    assert torch.equal(out, again)
