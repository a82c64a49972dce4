"""The detector's losses beside loops over people and cells, written from the equations in plain numbers."""

import math

import pytest
import torch

from unveil.losses.person_detection import Cells, assigned, detection_losses, generalised_overlap, pairwise_overlap

NOBODY = torch.zeros(0, 4, dtype=torch.float64)


def shared_area(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def area(a):
    return (a[2] - a[0]) * (a[3] - a[1])


def intersection_over_union(a, b):
    return shared_area(a, b) / (area(a) + area(b) - shared_area(a, b))


def generalised(a, b):
    outer = area((min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])))
    union = area(a) + area(b) - shared_area(a, b)
    return shared_area(a, b) / union - (outer - union) / outer


def alignment(person, answered, *, score, centre, stride):
    """Return how well a cell answers for a person (TOOD, eq. 6): 0 where it is too far away."""
    x, y = (person[0] + person[2]) / 2, (person[1] + person[3]) / 2
    if max(abs(centre[0] - x), abs(centre[1] - y)) >= 1.5 * stride:
        return 0.0
    size = (-(person[2] - person[0]) / 2, -(person[3] - person[1]) / 2)
    prior = (-0.75 * stride, -2 * stride, 0.75 * stride, 2 * stride)
    fit = intersection_over_union(person, answered)
    fit += 0.15 * intersection_over_union((*size, -size[0], -size[1]), prior)
    return math.sqrt(max(score, 1e-4)) * fit**4


def assigned_by_loops(corners, scores, people, cells):
    wanted = [{} for _ in people]  # of each person the nine best cells
    for n, person in enumerate(people):
        alignments = {}
        for c in range(len(corners)):
            place = {"centre": cells.centres[c].tolist(), "stride": cells.strides[c].item()}
            alignments[c] = alignment(person, corners[c], score=scores[c], **place)
        best = sorted(alignments, key=alignments.get, reverse=True)[:9]
        wanted[n] = {c: alignments[c] for c in best if alignments[c] > 0}
    owners = {}
    for c in range(len(corners)):
        claims = {n: wanted[n][c] for n in range(len(people)) if c in wanted[n]}
        if claims:
            owners[c] = max(claims, key=claims.get)
    whose, quality = [owners.get(c, -1) for c in range(len(corners))], [0.0] * len(corners)
    for n, person in enumerate(people):
        own = [c for c, owner in owners.items() if owner == n]
        for c in own:
            top = max(*(intersection_over_union(person, corners[other]) for other in own), 0.1)
            quality[c] = wanted[n][c] / max(wanted[n][other] for other in own) * top
    return whose, quality


def cross_entropy(logit, target):
    return -target * -math.log1p(math.exp(-logit)) - (1 - target) * -math.log1p(math.exp(logit))


def losses_by_loops(boxes, logits, people, ignored, cells):
    total = box = score = 0.0
    for k in range(len(boxes)):
        corners = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in boxes[k].tolist()]
        sure = [1 / (1 + math.exp(-logit)) for logit in logits[k].tolist()]
        whose, quality = assigned_by_loops(corners, sure, people[k].tolist(), cells)
        for c, (x, y) in enumerate(cells.centres.tolist()):
            if whose[c] >= 0:
                total += quality[c]
                box += quality[c] * (1 - generalised(corners[c], people[k][whose[c]].tolist()))
            elif any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in ignored[k].tolist()):
                continue
            score += (sure[c] - quality[c]) ** 2 * cross_entropy(logits[k, c].item(), quality[c])
    return {"box": 2 * box / max(total, 1), "score": 4 * score / max(total, 1)}


def cells_of(height, width):
    return Cells(*(part.double() for part in Cells.of(height, width)))


def crowd(count, draw):
    """People whose middles lie on a grid of 4 pixels, so that some are exactly as far from a cell as is too far."""
    if not count:
        return NOBODY
    middle = 4.0 * torch.randint(4, 13, (count, 2), generator=draw).double()
    half = torch.rand(count, 2, generator=draw, dtype=torch.float64) * torch.tensor([8.0, 20.0]) + 3
    return torch.cat([middle - half, middle + half], 1)


def answers(people, cells, draw):
    """Boxes around the people, more or less, and scores of which some are next to nothing."""
    count = len(cells.centres)
    if len(people):
        meant = people[torch.randint(len(people), (count,), generator=draw)]
    else:
        meant = torch.tensor([[10.0, 10.0, 30.0, 50.0]], dtype=torch.float64).repeat(count, 1)
    middle, size = (meant[:, :2] + meant[:, 2:]) / 2, meant[:, 2:] - meant[:, :2]
    middle = middle + 4 * torch.randn(count, 2, generator=draw, dtype=torch.float64)
    size = size * (0.6 * torch.randn(count, 2, generator=draw, dtype=torch.float64)).exp()
    return torch.cat([middle, size], 1), torch.rand(count, generator=draw, dtype=torch.float64) * 18 - 14


@pytest.mark.parametrize("seed", range(6))
def test_cells_are_assigned_as_loops_over_people_and_cells_assign_them(seed):
    draw, cells = torch.Generator().manual_seed(seed), cells_of(64, 64)
    # The last is outside of the image, too far away for any cell.
    people = torch.cat([crowd(4, draw), torch.tensor([[300.0, 300.0, 320.0, 350.0]], dtype=torch.float64)])
    boxes, logits = answers(people, cells, draw)
    corners = torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)
    whose, quality = assigned(corners, logits.sigmoid(), people=people, cells=cells)
    expected, wanted = assigned_by_loops(corners.tolist(), logits.sigmoid().tolist(), people.tolist(), cells)
    assert whose.tolist() == expected
    assert quality.tolist() == pytest.approx(wanted)
    assert {-1, 0, 1, 2, 3} >= set(expected) > {-1}


def test_fewer_cells_than_a_person_may_have_are_all_its_own():
    person = torch.tensor([[4.0, 2.0, 20.0, 34.0]], dtype=torch.float64)
    few = Cells(torch.tensor([[8.0, 16.0], [10.0, 20.0], [16.0, 24.0]]).double(), torch.full((3,), 16.0).double())
    corners = torch.tensor([[4.0, 2, 20, 34], [4, 2, 20, 18], [0, 0, 8, 8]], dtype=torch.float64)
    whose, quality = assigned(corners, torch.tensor([0.5, 0.25, 0.0]).double(), people=person, cells=few)
    expected, wanted = assigned_by_loops(corners.tolist(), [0.5, 0.25, 0.0], person.tolist(), few)
    assert whose.tolist() == expected == [0, 0, 0]
    assert quality.tolist() == pytest.approx(wanted)
    assert quality[0].item() == 1


@pytest.mark.parametrize("seed", range(4))
def test_losses_of_a_batch_are_the_sums_over_images_people_and_cells(seed):
    """In the middle is an image without people; behind it one of which nothing but ignored people is seen."""
    draw, cells = torch.Generator().manual_seed(seed), cells_of(64, 64)
    people = [crowd(3, draw), NOBODY, crowd(1, draw), NOBODY]
    ignored = [crowd(2, draw), NOBODY, crowd(1, draw), crowd(1, draw)]
    boxes, logits = (torch.stack(rows) for rows in zip(*(answers(p, cells, draw) for p in people), strict=True))
    found = detection_losses(boxes, logits, people=people, ignored=ignored, cells=cells)
    expected = losses_by_loops(boxes, logits, people, ignored, cells)
    assert {name: term.item() for name, term in found.items()} == pytest.approx(expected)


def test_without_people_scores_alone_are_taught():
    draw, cells = torch.Generator().manual_seed(0), cells_of(32, 32)
    boxes, logits = (row[None] for row in answers(NOBODY, cells, draw))
    found = detection_losses(boxes, logits, people=[NOBODY], ignored=[NOBODY], cells=cells)
    expected = sum(4 / (1 + math.exp(-s)) ** 2 * math.log1p(math.exp(s)) for s in logits[0].tolist())
    assert {name: term.item() for name, term in found.items()} == pytest.approx({"box": 0.0, "score": expected})


def test_losses_of_one_cell_that_answers_are_those_worked_out_by_hand():
    """A box of half of the person is half an overlap and all of the hull: its quality is 1/2, and so is what it lacks.

    The score is 1/2 too and has nothing to learn; the other cell is too far away, and says 1/2 where 0 is right.
    """
    cells = Cells(torch.tensor([[8.0, 16.0], [80.0, 80.0]]), torch.tensor([8.0, 8.0]))
    boxes = torch.tensor([[[8.0, 8.0, 16.0, 16.0], [80.0, 80.0, 8.0, 8.0]]])
    person = torch.tensor([[0.0, 0.0, 16.0, 32.0]])
    found = detection_losses(boxes, torch.zeros(1, 2), people=[person], ignored=[torch.zeros(0, 4)], cells=cells)
    assert found["box"].item() == pytest.approx(2 * 0.5 * 0.5)
    assert found["score"].item() == pytest.approx(4 * 0.25 * math.log(2))


def test_overlaps_do_not_depend_on_the_unit_of_length():
    draw = torch.Generator().manual_seed(1)
    one, other = crowd(5, draw), crowd(5, draw)
    torch.testing.assert_close(pairwise_overlap(one / 200, other / 200), pairwise_overlap(one, other))
    torch.testing.assert_close(generalised_overlap(one / 200, other / 200), generalised_overlap(one, other))
