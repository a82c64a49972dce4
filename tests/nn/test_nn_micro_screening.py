import pytest
import torch

from unveil.nn.parts.micro_screening import MicroScreening
from unveil.nn.parts.quality_predictor import QualityPredictor
from unveil.nn.parts.stripes import stripe_bounds


def test_quality_is_the_mean_of_sigmoids():
    torch.manual_seed(0)
    predictor, stripe = QualityPredictor(6), torch.randn(4, 6, 3, 2)
    first, second = predictor.score[0], predictor.score[2]
    assert (first.out_channels, QualityPredictor(6, 5).score[0].out_channels) == (3, 5)
    hidden = torch.einsum("bchw,dc->bdhw", stripe, first.weight[:, :, 0, 0]) + first.bias[:, None, None]
    scores = torch.einsum("bchw,dc->bdhw", hidden.clamp(min=0), second.weight[:, :, 0, 0]) + second.bias[:, None, None]
    mean, var = scores.mean(dim=(0, 2, 3), keepdim=True), scores.var(dim=(0, 2, 3), unbiased=False, keepdim=True)
    expected = (1 / (1 + (-(scores - mean) / (var + 1e-5).sqrt()).exp())).mean(dim=(2, 3))
    torch.testing.assert_close(predictor(stripe), expected)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("height", "k"), [(6, 3), (7, 3), (2, 4)])
@pytest.mark.parametrize("training", [True, False])
def test_stripes_against_a_loop_over_maps(shared, height, k, training):
    torch.manual_seed(1)
    block = MicroScreening(6, k, threshold=0.5, shared=shared).train(training)
    features = torch.randn(4, 6, height, 3)
    parts, whole = block(features)
    assert len(block.predictors) == (1 if shared else k)
    for i, (top, bottom) in enumerate(stripe_bounds(height, k)):
        stripe = features[:, :, top:bottom]
        quality = block.predictors[0 if shared else i](stripe)
        if not training:
            quality = torch.where(quality < 0.5, 0.0, quality)
        torch.testing.assert_close(parts[:, i], (stripe * quality[:, :, None, None]).mean(dim=(2, 3)))
    stacked = parts.transpose(1, 2)[..., None].mean(dim=2)[..., 0]
    if training:
        expected = (stacked - stacked.mean(0)) / (stacked.var(0, unbiased=False) + 1e-5).sqrt()
    else:
        expected = (stacked - block.norm.running_mean) / (block.norm.running_var + 1e-5).sqrt()
    torch.testing.assert_close(whole, expected, atol=1e-5, rtol=1e-5)


def test_screening_silences_at_test_only_and_can_be_switched_off():
    block, features = MicroScreening(8, 2, threshold=1.0), torch.rand(4, 8, 4, 2) + 0.5
    assert (block(features)[0] > 0).all()
    block.eval()
    assert (block(features)[0] == 0).all()
    block.screen = False
    assert (block(features)[0] > 0).all()


def test_screening_takes_exactly_the_channels_below_the_threshold():
    block, features = MicroScreening(8, 2, threshold=0.5).eval(), torch.randn(3, 8, 4, 2)
    with torch.no_grad():
        parts = block(features)[0]
        block.screen = False
        whole = block(features)[0]
    means = torch.stack([features[:, :, :2].mean(dim=(2, 3)), features[:, :, 2:].mean(dim=(2, 3))], dim=1)
    screened = whole / means < 0.5
    assert screened.any() and not screened.all()
    torch.testing.assert_close(parts, whole.masked_fill(screened, 0.0))
