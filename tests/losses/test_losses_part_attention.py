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
    assert part_attention_loss(log_maps, labels, smoothing=0.2).item() == pytest.approx(total / 12, abs=1e-9)


def test_labels_on_a_smaller_map_agree_with_a_loop_over_positions():
    """Bilinear with aligned corners: position i of n looks at i (N - 1) / (n - 1), between its two neighbours."""
    generator = torch.Generator().manual_seed(0)
    parsing = torch.randint(4, (2, 13, 9), generator=generator)
    found = labels_on_map(parsing.to(torch.uint8), 4, size=(5, 4))
    for b in range(2):
        for i in range(5):
            for j in range(4):
                y, x = i * 12 / 4, j * 8 / 3
                shares = [0.0] * 4
                for row, high in ((int(y), 1 - y % 1), (min(int(y) + 1, 12), y % 1)):
                    for column, wide in ((int(x), 1 - x % 1), (min(int(x) + 1, 8), x % 1)):
                        shares[parsing[b, row, column]] += high * wide
                best = max(shares)
                close = [label for label, share in enumerate(shares) if best - share < 1e-5]
                assert found[b, i, j].item() in close


def test_a_limb_half_as_wide_as_a_cell_survives_in_part_of_the_cells():
    """Where it lies decides, and not its area, by which it would never win a cell."""
    kept = []
    for left in range(8, 104):
        parsing = torch.zeros(1, 384, 128, dtype=torch.uint8)
        parsing[:, :, left : left + 8] = 2
        kept.append((labels_on_map(parsing, 7, size=(24, 8)) == 2).any(dim=2).float().mean().item())
    assert 0.3 < sum(kept) / len(kept) < 0.5


def test_labels_at_full_size_stay_and_unknown_ones_are_refused():
    parsing = torch.tensor([[1, 1, 2, 2], [1, 0, 0, 2], [3, 3, 3, 3], [0, 0, 0, 3]], dtype=torch.uint8)[None]
    assert torch.equal(labels_on_map(parsing, 7, size=(4, 4)), parsing.long())
    with pytest.raises(ValueError, match="below 3, got 3"):
        labels_on_map(parsing, 3, size=(2, 2))
