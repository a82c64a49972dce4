import pytest
import torch
import torch.nn.functional as F

from unveil.nn.causal_heads import CausalHeads
from unveil.nn.compound_erasing import compound_erase, erase_boxes, erase_stripe
from unveil.nn.parts.mean_feature import MeanFeature
from unveil.nn.parts.reconstructive_pooling import ReconstructivePooling
from unveil.records import Batch


def test_causal_heads_reference_values():
    heads = CausalHeads(4, 2, heads=2, tau=16.0, gamma=1 / 32)
    with torch.no_grad():
        heads.weight.copy_(torch.tensor([[3.0, 4, 1, 0], [0, 1, 0, 2]]))
    logits = heads(torch.tensor([[1.0, 0, 0, 2]]))
    expected = torch.tensor([[[4.770186, 0.0]], [[0.0, 7.876923]]])
    torch.testing.assert_close(logits, expected, atol=1e-6, rtol=0)


def test_causal_heads_refuse_channels_that_do_not_split():
    with pytest.raises(ValueError, match="divisor of the 6 channels, got 4"):
        CausalHeads(6, 2, heads=4)


def test_reconstructive_pooling_is_equation_2():
    pool = ReconstructivePooling(3).double()
    with torch.no_grad():
        pool.value.weight.normal_()
        pool.mask.weight.normal_()
    x = torch.randn(2, 3, 4, 2, dtype=torch.float64)
    for b in range(2):
        f = x[b].flatten(1)
        weights = (pool.mask.weight @ f).softmax(dim=1)
        torch.testing.assert_close(pool(x)[b], ((pool.value.weight @ f) @ weights.T)[:, 0])


def test_reconstructive_pooling_starts_near_average_pooling():
    x = torch.rand(2, 16, 4, 2)
    torch.testing.assert_close(ReconstructivePooling(16)(x), x.mean(dim=(2, 3)), atol=0.05, rtol=0)


def test_mean_feature_follows_equation_6():
    mean = MeanFeature(3, beta=0.9)
    expected = torch.zeros(3)
    for seed in range(3):
        z = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
        mean.update(z)
        expected = 0.9 * expected + 0.1 * F.normalize(z, dim=1).mean(dim=0)
    torch.testing.assert_close(mean.mean, expected)
    assert "mean" in mean.state_dict()
    assert not list(mean.parameters())


def test_mean_removal_changes_cosine_rankings_and_leaves_euclidean_ones():
    generator = torch.Generator().manual_seed(0)
    z = torch.rand(40, 6, generator=generator) + 0.5  # a common direction, as pooled features have
    mean = MeanFeature(6, beta=0.0)
    mean.update(z)
    before, after = F.normalize(z, dim=1).double(), mean(z).double()
    off = ~torch.eye(40, dtype=torch.bool)
    torch.testing.assert_close(torch.cdist(before, before)[off], torch.cdist(after, after)[off], atol=1e-5, rtol=0)

    def cosine_ranking(v):
        v = F.normalize(v, dim=1)
        return (v @ v.T).argsort(dim=1, descending=True)

    assert not torch.equal(cosine_ranking(before), cosine_ranking(after))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def crops(count, height, width):
    return Batch(torch.ones(count, 3, height, width), torch.arange(count))


def test_boxes_change_about_half_of_the_images():
    batch = crops(400, 64, 32)
    erased = (erase_boxes(batch, seeded(), p=0.5, fill=7.0).images == 7.0)[:, 0]
    changed = erased.flatten(1).any(dim=1)
    assert 0.4 < changed.float().mean() < 0.6
    assert 0.01 < erased[changed].float().mean(dim=(1, 2)).min() < erased.float().mean(dim=(1, 2)).max() < 0.42
    assert torch.equal(erase_boxes(batch, seeded(), p=0.0).images, batch.images)


def test_one_stripe_is_erased_in_all_images():
    seen = set()
    for seed in range(200):
        erased = erase_stripe(crops(3, 50, 4).images, seeded(seed), fill=7.0) == 7.0
        assert torch.equal(erased, erased[:1, :1].expand_as(erased))
        assert torch.equal(erased[0, 0], erased[0, 0, :, :1].expand(-1, 4))
        rows = erased[0, 0, :, 0].nonzero().flatten().tolist()
        assert len(rows) == rows[-1] - rows[0] + 1
        seen.add((rows[0], rows[-1] + 1))
    assert seen == {(r * 50 // s, (r + 1) * 50 // s) for s in (6, 7, 8) for r in range(s)}


def test_compound_erasing_doubles_the_batch_and_follows_the_seed():
    batch = Batch(torch.randn(4, 3, 32, 16), torch.tensor([5, 5, 9, 9]))
    first = compound_erase(batch, seeded(3), box_p=0.0)
    assert first.images.shape == (8, 3, 32, 16)
    assert first.persons.tolist() == [5, 5, 9, 9] * 2
    assert torch.equal(first.images[:4], batch.images)
    changed = (first.images[4:] != batch.images).any(dim=1)
    assert torch.equal(changed[0], changed[3])
    assert changed.any()
    assert torch.equal(compound_erase(batch, seeded(3), box_p=0.0).images, first.images)
    assert torch.equal(compound_erase(batch, seeded(3), box_p=0.0, stripe_p=0.0).images[4:], batch.images)
