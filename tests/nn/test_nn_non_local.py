import torch

from unveil.nn.attention.disentangled_non_local import DisentangledNonLocal
from unveil.nn.attention.late_blocks import LateBlocks
from unveil.nn.attention.non_local import NonLocal
from unveil.nn.backbones.resnet import ResNet


def noisy(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every parameter a value that matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.5)
    return module


def test_non_local_is_the_sum_over_positions_divided_by_their_number():
    block = noisy(NonLocal(4, inter=3).double()).eval()
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    query, key, value = (conv(x).flatten(2) for conv in (block.query, block.key, block.value))
    y = torch.zeros(2, 3, 6, dtype=torch.float64)
    for b in range(2):
        for i in range(6):
            for j in range(6):
                y[b, :, i] += (query[b, :, i] @ key[b, :, j]) * value[b, :, j] / 6
    expected = x + block.norm(block.out(y.view(2, 3, 3, 2)))
    torch.testing.assert_close(block(x), expected)


def test_non_local_starts_as_the_identity_and_can_learn():
    block = NonLocal(8)
    x = torch.randn(2, 8, 4, 2)
    out = block(x)
    torch.testing.assert_close(out, x)
    out.square().sum().backward()
    assert block.norm.weight.grad.abs().sum() > 0
    assert block.out.weight.shape[1] == 1  # the published bottleneck


def test_disentangled_block_is_equation_1():
    block = noisy(DisentangledNonLocal(4, qk_ratio=2).double())
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    out = block(x)
    for b in range(2):
        f = x[b].flatten(1)
        q, k, v, m = (conv.weight.flatten(1) @ f for conv in (block.query, block.key, block.value, block.mask))
        q, k = q - q.mean(1, keepdim=True), k - k.mean(1, keepdim=True)
        for i in range(6):
            pairwise = torch.stack([q[:, i] @ k[:, j] for j in range(6)]).exp()
            unary = m[0].exp()
            y = sum((block.gamma * pairwise[j] / pairwise.sum() + unary[j] / unary.sum()) * v[:, j] for j in range(6))
            torch.testing.assert_close(out[b].flatten(1)[:, i], f[:, i] + y)
    assert block.query.weight.shape[0] == 2


def test_with_gamma_0_the_same_vector_is_added_everywhere():
    block = noisy(DisentangledNonLocal(8))
    torch.nn.init.zeros_(block.gamma)
    x = torch.randn(2, 8, 4, 3)
    added = (block(x) - x).flatten(2)
    torch.testing.assert_close(added, added[:, :, :1].expand_as(added), atol=1e-5, rtol=1e-4)
    assert added.abs().max() > 0.01
    torch.nn.init.ones_(block.gamma)
    added = (block(x) - x).flatten(2)
    assert (added - added[:, :, :1]).abs().max() > 1e-3


def test_gamma_is_a_switch_and_starts_at_0():
    assert DisentangledNonLocal(4).gamma.item() == 0
    assert DisentangledNonLocal(4, gamma=False).gamma is None
    block = DisentangledNonLocal(4)
    assert {id(p) for p in block.no_weight_decay()} == {id(block.query.weight), id(block.key.weight)}


def test_late_blocks_sit_behind_the_last_blocks_of_stage_2_and_3():
    assert LateBlocks(ResNet(50).stages, NonLocal).addresses == [
        "layer2.2", "layer2.3", "layer3.3", "layer3.4", "layer3.5",
    ]  # fmt: skip
    late = LateBlocks(ResNet(18).stages, NonLocal)
    assert late.addresses == ["layer2.0", "layer2.1", "layer3.0", "layer3.1"]
    assert [block.key.weight.shape[1] for block in late.blocks] == [128, 128, 256, 256]
    assert LateBlocks(ResNet(18).stages, NonLocal, counts=()).hooks() == {}


def test_late_blocks_change_what_the_backbone_returns():
    backbone = ResNet(18).eval()
    late = LateBlocks(backbone.stages, lambda c: noisy(DisentangledNonLocal(c)))
    images = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        assert not torch.allclose(backbone(images), backbone(images, late.hooks()))
