import pytest
import torch

from unveil.nn.converter import Converter
from unveil.nn.parts.centre_focus import CentreFocus
from unveil.nn.parts.relational_adaptive import PairRelations, RelationalAdaptive, RelationNetwork


def test_converter_sees_only_its_group():
    converter = Converter(8, 4, groups=4).eval()
    x = torch.randn(1, 8, 3, 2)
    changed = x.clone()
    changed[:, :2] += 1.0
    difference = (converter(x) - converter(changed)).abs()[0]
    assert difference[1:].max() == 0
    expected = converter.norm(converter.conv(x)).clamp(min=0).mean(dim=(2, 3))
    torch.testing.assert_close(converter(x), expected)


@pytest.mark.parametrize("kernel", [1, 3])
def test_converter_kernel_keeps_the_map_size(kernel):
    converter = Converter(8, 4, groups=2, kernel=kernel)
    assert converter.conv(torch.zeros(1, 8, 5, 3)).shape == (1, 4, 5, 3)


@pytest.mark.parametrize(("region", "rows", "columns"), [("columns", range(6), [1, 2]), ("square", [2, 3], [1, 2])])
def test_centre_attention_is_a_softmax_over_the_region(region, rows, columns):
    focus = CentreFocus(3, width=2, region=region)
    x = torch.randn(2, 3, 6, 4)
    attention = focus.attention(x)
    scores = focus.score(x)
    for b in range(2):
        total = sum(scores[b, 0, y, c].exp() for y in rows for c in columns)
        for y in range(6):
            for c in range(4):
                inside = y in rows and c in columns
                expected = scores[b, 0, y, c].exp() / total * len(rows) * 2 if inside else torch.tensor(0.0)
                torch.testing.assert_close(attention[b, 0, y, c], expected)
    torch.testing.assert_close(focus(x), x * (1 + attention))
    plain = CentreFocus(3, width=2, region=region, rescale=False)
    torch.testing.assert_close(plain.attention(x).sum(dim=(1, 2, 3)), torch.ones(2))


def test_centre_is_clipped_to_a_narrow_map():
    attention = CentreFocus(3, width=8).attention(torch.randn(1, 3, 4, 2))
    assert attention.shape == (1, 1, 4, 2)
    torch.testing.assert_close(attention.mean(), torch.tensor(1.0))


def test_relations_are_means_over_ordered_pairs():
    relations = PairRelations(3)
    vectors = torch.randn(2, 4, 3)
    out = relations(vectors)
    for b in range(2):
        for i in range(4):
            pairs = [relations.pair(torch.cat([vectors[b, i], vectors[b, j]])).clamp(min=0) for j in range(4) if j != i]
            torch.testing.assert_close(out[b, i], torch.stack(pairs).mean(dim=0))
    with pytest.raises(ValueError, match="at least 2"):
        relations(vectors[:, :1])


def test_adaptive_module_weights_and_network_replaces():
    vectors = torch.randn(2, 4, 3)
    ram, rn = RelationalAdaptive(3), RelationNetwork(3)
    weights = ram(vectors) / vectors
    assert ((weights > 0) & (weights < 1)).all()
    torch.testing.assert_close(ram(vectors), vectors * ram.weight(ram.relations(vectors)).sigmoid())
    torch.testing.assert_close(rn(vectors), rn.out(rn.relations(vectors)).clamp(min=0))
    torch.nn.init.zeros_(ram.weight.weight)
    torch.testing.assert_close(ram(vectors), vectors * 0.8807971)
