import math

import pytest
import torch
import torch.nn.functional as F

from unveil.nn.attention.body_shape_attention import BodyShapeAttention
from unveil.nn.attention.cbam import CBAM
from unveil.nn.attention.channel_interaction import ChannelInteraction
from unveil.nn.attention.efficient_channel_attention import EfficientChannelAttention
from unveil.nn.attention.polarized_attention import PolarizedAttention
from unveil.nn.attention.spatial_interaction import SpatialInteraction
from unveil.nn.attention.squeeze_excitation import SqueezeExcitation

X = torch.randn(2, 8, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def build(kind, *args, **kwargs):
    torch.manual_seed(1)
    return kind(*args, **kwargs).double()


def sigmoid(x):
    return 1 / (1 + (-x).exp())


@pytest.mark.parametrize("share", [False, True])
def test_body_shape_attention_is_equations_2_to_5(share):
    block = build(BodyShapeAttention, 8, share_mask_conv=share)
    body = (torch.rand(2, 20, 12, generator=torch.Generator().manual_seed(2)) < 0.5).to(torch.uint8)
    mask = F.interpolate(body[:, None].double(), (5, 3), mode="bilinear", align_corners=False)
    two = F.conv2d(X, block.features.weight, block.features.bias, padding=3)
    one = F.conv2d(mask, block.mask.weight, block.mask.bias, padding=3)
    attention = F.conv2d(torch.cat([one, two], dim=1), block.join.weight, block.join.bias, padding=3)
    second = block.mask if share else block.mask_again
    gate = sigmoid(attention * F.conv2d(mask, second.weight, second.bias, padding=3))
    out = block(X, body)
    assert two.shape[1] == 2 and out.shape == X.shape
    torch.testing.assert_close(out, X * gate)
    assert (out.abs() <= X.abs()).all()
    assert (block.mask is block.mask_again) == share
    assert not torch.equal(out, block(X, 1 - body))


def test_few_parameters():
    count = sum(p.numel() for p in BodyShapeAttention(512).parameters())
    assert count == (512 * 2 * 49 + 2) + 2 * (49 + 1) + (3 * 49 + 1)


def test_squeeze_excitation():
    block = build(SqueezeExcitation, 8, ratio=4)
    first, second = block.excite[0].weight, block.excite[2].weight
    assert first.shape == (2, 8) and SqueezeExcitation(8).excite[0].out_features == 1
    gate = sigmoid((X.mean(dim=(2, 3)) @ first.T).clamp(min=0) @ second.T)
    for b in range(2):
        for c in range(8):
            torch.testing.assert_close(block(X)[b, c], X[b, c] * gate[b, c])


def test_cbam_gates_channels_then_positions():
    block = build(CBAM, 8, ratio=4, kernel=3)
    first, second = block.channel[0].weight, block.channel[2].weight
    scores = sum((v @ first.T).clamp(min=0) @ second.T for v in (X.mean(dim=(2, 3)), X.flatten(2).max(dim=2).values))
    by_channel = X * sigmoid(scores)[:, :, None, None]
    pooled = torch.stack([by_channel.mean(dim=1), by_channel.max(dim=1).values], dim=1)
    gate = sigmoid(F.conv2d(pooled, block.spatial.weight, padding=1))
    torch.testing.assert_close(block(X), by_channel * gate)


@pytest.mark.parametrize(("channels", "kernel"), [(2, 1), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)])
def test_efficient_attention_widens_with_the_channels(channels, kernel):
    assert EfficientChannelAttention(channels).conv.kernel_size == (kernel,)


def test_efficient_attention_sees_neighbouring_channels():
    block = build(EfficientChannelAttention, 8)
    weight = block.conv.weight[0, 0]
    means = F.pad(X.mean(dim=(2, 3)), (1, 1))
    for c in range(8):
        gate = sigmoid(means[:, c : c + 3] @ weight)
        torch.testing.assert_close(block(X)[:, c], X[:, c] * gate[:, None, None])


def test_polarized_attention_against_loops():
    block = build(PolarizedAttention, 8)
    linear, norm = block.channel_out
    out = block(X)
    for b in range(2):
        positions = X[b].flatten(1)
        query = (block.channel_query.weight[:, :, 0, 0] @ positions + block.channel_query.bias[:, None])[0]
        value = block.channel_value.weight[:, :, 0, 0] @ positions + block.channel_value.bias[:, None]
        weights = query.exp() / query.exp().sum()
        by_channel = sigmoid(norm(linear(sum(weights[n] * value[:, n] for n in range(15)))))
        query = (block.spatial_query.weight[:, :, 0, 0] @ positions + block.spatial_query.bias[:, None]).mean(dim=1)
        value = block.spatial_value.weight[:, :, 0, 0] @ positions + block.spatial_value.bias[:, None]
        weights = query.exp() / query.exp().sum()
        by_position = sigmoid(sum(weights[c] * value[c] for c in range(4))).view(5, 3)
        expected = X[b] * by_channel[:, None, None] + X[b] * by_position
        torch.testing.assert_close(out[b], expected)


def test_channel_interaction_starts_as_the_identity_and_adds_similar_channels():
    block = build(ChannelInteraction, 8).eval()
    torch.testing.assert_close(block(X), X)
    torch.nn.init.ones_(block.norm.weight)
    x = X / 3
    expected = torch.empty_like(x)
    for b in range(2):
        for c in range(8):
            products = torch.stack([(x[b, c] * x[b, d]).sum() for d in range(8)])
            weights = products.exp() / products.exp().sum()
            expected[b, c] = sum(weights[d] * x[b, d] for d in range(8))
    torch.testing.assert_close(block(x), x + expected / (1 + 1e-5) ** 0.5)


@pytest.mark.parametrize(
    "kind", [CBAM, ChannelInteraction, EfficientChannelAttention, PolarizedAttention, SqueezeExcitation]
)
def test_blocks_keep_shapes_and_have_right_gradients(kind):
    block = build(kind, 4).eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = (X[:1, :4, :2] / 2).requires_grad_()
    assert block(x).shape == x.shape
    torch.autograd.gradcheck(block, (x,))


def softmax(values):
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    return [power / sum(powers) for power in powers]


def test_spatial_interaction_agrees_with_a_loop_over_pairs_of_positions():
    block = build(SpatialInteraction, 8, sigma=0.5)
    torch.nn.init.normal_(block.norm.weight)
    block.norm.eval()
    places = [(y, x) for y in range(5) for x in range(3)]
    expected = torch.zeros_like(X)
    for b in range(2):
        for y, x in places:
            own = X[b, :, y, x]
            alike = softmax([float(own @ X[b, :, v, u]) / 8**0.5 for v, u in places])
            near = softmax([-((y - v) ** 2) / (2 * 2.5**2) - (x - u) ** 2 / (2 * 1.5**2) for v, u in places])
            weights = softmax([a * n for a, n in zip(alike, near, strict=True)])
            expected[b, :, y, x] = sum(w * X[b, :, v, u] for w, (v, u) in zip(weights, places, strict=True))
    torch.testing.assert_close(block(X), X + block.norm(expected), atol=1e-6, rtol=1e-6)


def test_spatial_interaction_starts_as_the_identity_and_takes_maps_of_any_size():
    block = build(SpatialInteraction, 8)
    assert torch.equal(block(X), X) and block(X[:, :, :2, :1]).shape == (2, 8, 2, 1)
    # The authors' standard deviations on their maps: 10 and 20 positions on 16 x 32, 5 and 10 on 8 x 16.
    for height, width, sy, sx in ((32, 16, 20, 10), (16, 8, 10, 5)):
        row = block.location(height, width)[0].view(height, width)
        assert (row[1, 0] / row[0, 0]).log().item() == pytest.approx(-1 / (2 * sy**2), rel=1e-3)
        assert (row[0, 1] / row[0, 0]).log().item() == pytest.approx(-1 / (2 * sx**2), rel=1e-3)
