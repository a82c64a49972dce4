import math

import pytest
import torch
from torch import nn

from unveil.losses.clothes import clothes_loss
from unveil.methods.clothes_adversary import ClothesAdversary
from unveil.methods.method import LabelSpace
from unveil.nn.neck import CosineClassifier, bn_neck, cal_neck, linear_classifier
from unveil.nn.pooling import build_pooling


@pytest.mark.parametrize("name", ["avg", "max", "maxavg", "gem"])
def test_pooling_against_loops(name):
    x = torch.rand(2, 3, 4, 5) - 0.2
    out = build_pooling(name, 3)(x)
    for b in range(2):
        for c in range(3):
            values = x[b, c].flatten().tolist()
            mean, top = sum(values) / 20, max(values)
            gem = (sum(max(v, 1e-6) ** 3 for v in values) / 20) ** (1 / 3)
            if name == "maxavg":
                assert out[b, c].item() == pytest.approx(top)
                assert out[b, 3 + c].item() == pytest.approx(mean, abs=1e-6)
            else:
                assert out[b, c].item() == pytest.approx({"avg": mean, "max": top, "gem": gem}[name], abs=1e-6)


@pytest.mark.parametrize(("name", "length"), [("avg", 7), ("max", 7), ("maxavg", 14), ("gem", 7)])
def test_pooling_says_how_long_its_vector_is(name, length):
    pooling = build_pooling(name, 7)
    assert pooling.out_channels == length == pooling(torch.rand(2, 7, 3, 2)).shape[1]


def test_gem_learns_its_exponent_and_survives_zeros():
    pooling = build_pooling("gem", 3)
    assert pooling.p.item() == 3.0
    x = torch.zeros(1, 3, 2, 2, requires_grad=True)
    pooling(x).sum().backward()
    assert torch.isfinite(x.grad).all() and torch.isfinite(pooling.p.grad).all()
    pooling.p.data.fill_(1.0)
    torch.testing.assert_close(pooling(torch.full((1, 3, 2, 2), 0.7)), torch.full((1, 3), 0.7))


def test_bn_neck_keeps_its_bias_at_zero():
    neck = bn_neck(5)
    assert [name for name, p in neck.named_parameters() if p.requires_grad] == ["weight"]
    x = torch.randn(64, 5) * 4 + 2
    torch.testing.assert_close(neck(x).mean(dim=0), torch.zeros(5), atol=1e-5, rtol=0)


def test_cal_neck_has_both_terms_and_weights_around_1():
    torch.manual_seed(0)
    neck = cal_neck(20_000)
    assert neck.weight.requires_grad and neck.bias.requires_grad and neck.bias.abs().max() == 0
    assert neck.weight.mean().item() == pytest.approx(1.0, abs=1e-3)
    assert neck.weight.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("std", [0.001, 0.01])
def test_linear_classifier(std):
    torch.manual_seed(0)
    classifier = linear_classifier(100, 200, std=std)
    assert classifier.bias is None and classifier.weight.shape == (200, 100)
    assert classifier.weight.std().item() == pytest.approx(std, rel=0.05)
    assert linear_classifier(4, 3, bias=True).bias.abs().max() == 0


def test_cosine_classifier_against_loops():
    classifier = CosineClassifier(4, 3)
    nn.init.normal_(classifier.weight)
    x = torch.randn(5, 4)
    for b, row in enumerate(classifier(x).tolist()):
        for c, value in enumerate(row):
            u, v = x[b].tolist(), classifier.weight[c].tolist()
            cosine = sum(i * j for i, j in zip(u, v, strict=True)) / math.hypot(*u) / math.hypot(*v)
            assert value == pytest.approx(cosine, abs=1e-6)


def test_rows_of_a_cosine_classifier_start_at_length_1_as_in_cal_or_at_a_standard_deviation_as_in_fastreid():
    torch.manual_seed(0)
    torch.testing.assert_close(CosineClassifier(512, 40).weight.norm(dim=1), torch.ones(40))
    assert CosineClassifier(512, 40, std=0.01).weight.std().item() == pytest.approx(0.01, rel=0.05)


def test_the_clothes_classifier_turns_by_about_one_degree_in_the_first_step_of_adam():
    torch.manual_seed(0)
    adversary = ClothesAdversary(4096, LabelSpace(2, 4, (0, 0, 1, 1)), start_epoch=0, scale=16.0, epsilon=0.1)
    before = adversary.classifier.weight.detach().clone()
    optimiser = torch.optim.Adam(adversary.parameters(), lr=3.5e-4, weight_decay=5e-4)
    clothes_loss(adversary.classifier(torch.randn(8, 4096)), torch.arange(8) % 4).backward()
    optimiser.step()
    cosine = torch.cosine_similarity(before, adversary.classifier.weight, dim=1)
    degrees = cosine.clamp(-1, 1).arccos().rad2deg()
    # An entry moves by the rate, a row of 4096 by 0.0224: 1.3 degrees at length 1, 19 at the length of N(0, 0.001).
    assert 1.0 < degrees.max().item() < 1.6
