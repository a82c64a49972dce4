import pytest
import torch

from unveil.losses.part_attention import labels_on_map, part_attention_loss


def test_pixel_reference_value():
    logits = torch.tensor([2.0, 1, 0, 0, 0, 0, 0], dtype=torch.float64).view(1, 7, 1, 1)
    label = torch.zeros(1, 1, 1, dtype=torch.int64)
    for maps in (logits, logits.log_softmax(dim=1)):
        assert part_attention_loss(maps, label).item() == pytest.approx(0.872323, abs=1e-6)


def test_agrees_with_a_loop_over_pixels():
    generator = torch.Generator().manual_seed(0)
    log_maps = torch.randn(2, 5, 3, 2, generator=generator, dtype=torch.float64).log_softmax(dim=1)
    labels = torch.randint(5, (2, 3, 2), generator=generator)
    total = 0.0
    for b in range(2):
        for y in range(3):
            for x in range(2):
                for n in range(5):
                    target = 1 - 0.2 * 4 / 5 if n == labels[b, y, x] else 0.2 / 5
                    total -= target * log_maps[b, n, y, x].item()
    assert part_attention_loss(log_maps, labels, 0.2).item() == pytest.approx(total / 12, abs=1e-9)


def test_labels_on_a_smaller_map_are_the_majority():
    parsing = torch.tensor([[1, 1, 2, 2], [1, 0, 0, 2], [3, 3, 3, 3], [0, 0, 0, 3]], dtype=torch.uint8)[None]
    assert labels_on_map(parsing, 7, (2, 2)).tolist() == [[[1, 2], [0, 3]]]  # a tie is background
    assert torch.equal(labels_on_map(parsing, 7, (4, 4)), parsing.long())
    with pytest.raises(ValueError, match="below 3, got 3"):
        labels_on_map(parsing, 3, (2, 2))
