import pytest
import torch

from unveil.nn.bilinear_fusion import BilinearFusion
from unveil.nn.parts.stripe_pyramid import StripePyramid


def test_the_pyramid_sees_the_maximum_of_every_stripe_of_every_scale():
    torch.manual_seed(0)
    pyramid = StripePyramid(4, 6, scales=(1, 2, 4), width=3).eval()
    x = torch.randn(2, 4, 8, 3)
    joined = []
    stripes = [(0, 8), (0, 4), (4, 8), (0, 2), (2, 4), (4, 6), (6, 8)]
    for layer, (top, bottom) in zip(pyramid.reductions, stripes, strict=True):
        maxima = torch.tensor([[x[b, c, top:bottom].max().item() for c in range(4)] for b in range(2)])
        joined.append(layer(maxima))
    torch.testing.assert_close(pyramid(x), pyramid.neck(torch.cat(joined, dim=1) @ pyramid.join.weight.T))


def test_the_pyramid_takes_maps_with_fewer_rows_than_stripes():
    assert StripePyramid(4, 6, width=3).eval()(torch.randn(2, 4, 4, 2)).shape == (2, 6)


def test_the_fusion_agrees_with_loops():
    torch.manual_seed(0)
    fusion = BilinearFusion(4, 6, maps=3).eval()
    x, guide = torch.randn(2, 4, 3, 2), torch.randn(2, 4, 3, 2)
    attention = fusion.attention(guide)
    for b in range(2):
        vector = []
        for m in range(3):
            for c in range(4):
                products = [attention[b, m, i, j].item() * x[b, c, i, j].item() for i in range(3) for j in range(2)]
                mean = sum(products) / 6
                vector.append((abs(mean) + 1e-12) ** 0.5 * ((mean > 0) - (mean < 0)))
        length = sum(value * value for value in vector) ** 0.5
        normed = torch.tensor([value / length for value in vector])
        expected = fusion.neck((fusion.join.weight @ normed)[None])[0]
        torch.testing.assert_close(fusion(x, guide)[b], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("what", ["zeros", "one position"])
def test_the_fusion_has_a_finite_gradient_where_nothing_is_seen(what):
    fusion = BilinearFusion(4, 6, maps=3)
    size = (3, 2) if what == "zeros" else (1, 1)
    x = torch.zeros(2, 4, *size, requires_grad=True)
    fusion(x, torch.randn(2, 4, *size)).sum().backward()
    assert x.grad.isfinite().all()
