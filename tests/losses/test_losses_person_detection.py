"""The detector's losses beside boxes counted pixel by pixel: overlaps, which cells answer, and what teaches nothing."""

import itertools

import pytest
import torch

from unveil.losses.person_detection import (
    Cells,
    assigned,
    detection_losses,
    generalised_overlap,
    pairwise_overlap,
    to_corners,
)

PERSON = torch.tensor([[20.0, 10.0, 40.0, 60.0]])
NOBODY = torch.zeros(0, 4)


def pixels(box):
    left, top, right, bottom = (int(v) for v in box)
    return set(itertools.product(range(left, right), range(top, bottom)))


@pytest.fixture
def cells():
    return Cells.of(96, 96)


def answer(cells, box, sure=4.0):
    """Every cell answers one box; scores are low but for the cells near its middle."""
    left, top, right, bottom = box.tolist()
    boxes = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]).repeat(len(cells[0]), 1)
    near = (cells.centres - boxes[:, :2]).abs().amax(1) < cells.strides
    return boxes[None].clone().requires_grad_(), torch.where(near, sure, -sure)[None].clone().requires_grad_()


def test_overlaps_are_those_of_counted_pixels():
    draw = torch.Generator().manual_seed(3)
    corner, size = (torch.randint(0, 20, (12, 2), generator=draw).float() for _ in range(2))
    boxes = torch.cat([corner, corner + size + 1], 1)
    found = pairwise_overlap(boxes, boxes)
    for i, j in itertools.product(range(12), repeat=2):
        one, other = pixels(boxes[i]), pixels(boxes[j])
        expected = len(one & other) / len(one | other)
        assert found[i, j] == pytest.approx(expected)
        hull = torch.cat([torch.minimum(boxes[i, :2], boxes[j, :2]), torch.maximum(boxes[i, 2:], boxes[j, 2:])])
        outer = len(pixels(hull))
        generalised = generalised_overlap(boxes[i : i + 1], boxes[j : j + 1])
        assert generalised.item() == pytest.approx(expected - (outer - len(one | other)) / outer, abs=1e-6)


def test_cells_near_the_middle_answer_and_the_best_should_be_as_sure_as_it_fits(cells):
    boxes, scores = answer(cells, PERSON[0] + torch.tensor([0.0, 0.0, 0.0, 10.0]))
    whose, quality = assigned(to_corners(boxes[0]), scores[0].sigmoid(), people=PERSON, cells=cells)
    chosen = whose >= 0
    assert 1 <= chosen.sum() <= 9 and not quality[~chosen].any()
    away = (cells.centres[chosen] - torch.tensor([30.0, 35.0])).abs().amax(1)
    assert (away < 1.5 * cells.strides[chosen]).all()
    assert quality.max().item() == pytest.approx(50 / 60)


def test_a_cell_that_two_want_answers_for_the_one_that_it_fits(cells):
    both = torch.cat([PERSON, PERSON + 4])
    boxes, scores = answer(cells, both[1])
    whose, _ = assigned(to_corners(boxes[0]), scores[0].sigmoid(), people=both, cells=cells)
    assert (whose == 1).sum() > (whose == 0).sum()


def test_the_right_answer_costs_less_than_others_and_ignored_people_teach_nothing(cells):
    def cost(box, person, other=NOBODY):
        boxes, scores = answer(cells, box)
        terms = detection_losses(boxes, scores, people=[person], ignored=[other], cells=cells)
        sum(terms.values()).backward()
        return terms, scores.grad[0]

    right, _ = cost(PERSON[0], PERSON)
    wrong, _ = cost(PERSON[0] + 12, PERSON)
    assert right["box"].item() < 1e-4 < wrong["box"].item()
    assert right["score"].item() < wrong["score"].item()
    _, taught = cost(PERSON[0], NOBODY, PERSON)
    inside = ((cells.centres >= PERSON[0, :2]) & (cells.centres <= PERSON[0, 2:])).all(1)
    assert inside.any() and not taught[inside].any() and taught[~inside].any()


def test_another_number_of_cells_is_an_error(cells):
    boxes, scores = answer(cells, PERSON[0])
    with pytest.raises(ValueError, match=r"expected 189 cells, found \(1, 180, 4\)"):
        detection_losses(boxes[:, :180], scores[:, :180], people=[PERSON], ignored=[NOBODY], cells=cells)
