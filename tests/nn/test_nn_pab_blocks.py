import pytest
import torch
import torch.nn.functional as F

from unveil.nn.attention.pixel_attention import PixelAttention, PixelProjection
from unveil.nn.gated_conv import GatedConv
from unveil.nn.parts.focuser import Focuser, PartPath, Projection
from unveil.nn.parts.part_pooling import pool_parts
from unveil.nn.parts.stripes import stripe_bounds, stripe_masks


@pytest.mark.parametrize("predictor", [PixelAttention(8, 7, hidden=6), PixelProjection(8, 7)])
def test_maps_sum_to_1_everywhere(predictor):
    maps = predictor(torch.randn(2, 8, 4, 3)).exp()
    assert maps.shape == (2, 7, 4, 3)
    torch.testing.assert_close(maps.sum(dim=1), torch.ones(2, 4, 3))


def test_clipped_logits_keep_every_map_above_the_uniform_floor():
    torch.manual_seed(0)
    x = torch.randn(4, 8, 4, 3)
    clipped, free = PixelAttention(8, 7, hidden=6), PixelAttention(8, 7, hidden=6, relu_before_softmax=False)
    free.load_state_dict(clipped.state_dict())
    logits = free.logits(free.hidden(x))
    torch.testing.assert_close(clipped(x), logits.clamp(min=0).log_softmax(dim=1))
    torch.testing.assert_close(free(x), logits.log_softmax(dim=1))
    assert clipped(x).exp().amax(dim=1).min() >= 1 / 7 - 1e-6


def test_gated_convolution_is_features_times_gate():
    conv = GatedConv(3)
    x = torch.randn(2, 3, 4, 3)
    feature = F.conv2d(x, conv.feature.weight, conv.feature.bias, padding=1)
    gate = F.conv2d(x, conv.gate.weight, conv.gate.bias, padding=1)
    expected = torch.where(feature > 0, feature, feature.exp() - 1) / (1 + (-gate).exp())
    torch.testing.assert_close(conv(x), expected)


def test_weighted_pooling_does_not_shrink_small_parts():
    features, masks = torch.randn(2, 3, 5, 4, 3), torch.rand(2, 3, 4, 3)
    masks[0, 1] = 0
    pooled = pool_parts(features, masks)
    for b in range(2):
        for e in range(3):
            total = sum(masks[b, e, y, x] * features[b, e, :, y, x] for y in range(4) for x in range(3))
            expected = total / max(masks[b, e].sum().item(), 1e-6)
            torch.testing.assert_close(pooled[b, e], expected)
    torch.testing.assert_close(pool_parts(features, masks * 0.01)[1], pooled[1])
    shared = pool_parts(features[:, :1], masks)
    torch.testing.assert_close(shared, pool_parts(features[:, :1].repeat(1, 3, 1, 1, 1), masks))
    torch.testing.assert_close(pool_parts(features, masks, kind="gap"), features.mean(dim=(3, 4)))
    torch.testing.assert_close(pool_parts(features, masks, kind="gmp"), features.amax(dim=(3, 4)))


@pytest.mark.parametrize(("share", "gates"), [("parts", 2), ("all", 1), ("none", 4)])
def test_focuser_is_equations_7_to_9(share, gates):
    focuser = Focuser(6, 3, dim=5, share_gate=share).eval()
    assert len(focuser.gates) == gates
    x, masks = torch.randn(2, 6, 4, 3), torch.rand(2, 4, 4, 3)
    vectors = focuser(x, masks)
    shared = focuser.project(x)
    for e in range(4):
        gate = focuser.gates[{"parts": min(e, 1), "all": 0, "none": e}[share]]
        q = gate(shared * masks[:, e : e + 1])
        expected = (q * masks[:, e : e + 1]).sum(dim=(2, 3)) / masks[:, e].sum(dim=(1, 2))[:, None]
        torch.testing.assert_close(vectors[:, e], expected)


@pytest.mark.parametrize("pool", ["gwap", "gap", "gmp"])
def test_path_without_focuser_pools_then_projects(pool):
    path = PartPath(6, dim=5, pool=pool).eval()
    x, masks = torch.randn(2, 6, 4, 3), torch.rand(2, 4, 4, 3)
    masked = x[:, None] * masks[:, :, None]
    pooled = {
        "gwap": masked.sum(dim=(3, 4)) / masks.sum(dim=(2, 3))[:, :, None],
        "gap": masked.mean(dim=(3, 4)),
        "gmp": masked.amax(dim=(3, 4)),
    }[pool]
    vectors = path(x, masks)
    torch.testing.assert_close(vectors[:, 0], path.foreground(pooled[:, 0]))
    torch.testing.assert_close(vectors[:, 2], path.parts(pooled[:, 2]))


def test_projection_normalises_over_all_vectors():
    projection = Projection(6, 5)
    x = torch.randn(4, 3, 6)
    torch.testing.assert_close(projection(x), projection(x.view(12, 6)).view(4, 3, 5))


@pytest.mark.parametrize(("height", "count"), [(24, 6), (16, 3), (24, 10), (4, 6), (1, 4), (7, 7)])
def test_stripes_cover_the_map_and_none_is_empty(height, count):
    bounds = stripe_bounds(height, count)
    assert len(bounds) == count
    assert all(0 <= top < bottom <= height for top, bottom in bounds)
    assert {row for top, bottom in bounds for row in range(top, bottom)} == set(range(height))
    if count <= height:
        assert [top for top, _ in bounds[1:]] == [bottom for _, bottom in bounds[:-1]]
    masks = stripe_masks(torch.zeros(2, 8, height, 3), count)
    assert masks.shape == (2, count, height, 3)
    assert masks[1].sum(dim=(1, 2)).tolist() == [3 * (bottom - top) for top, bottom in bounds]
