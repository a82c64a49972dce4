"""Which rows become one probable person: by distance, by what is known of pairs, and never through a chain."""

from __future__ import annotations

import numpy as np
import pytest

from unveil.errors import DataError
from unveil.gallery.grouping import clustering
from unveil.gallery.grouping.clustering import cluster
from unveil.gallery.grouping.links import PersonLinks, joined
from unveil.gallery.grouping.overlaps import Span, overlapping
from unveil.records import Embedding

NOTHING = np.empty((0, 2), np.int64)


def points(*places: float, visibility=None) -> Embedding:
    """Rows on a line, whose distances are those of the places."""
    vectors = np.array(places, np.float32).reshape(-1, 1, 1)
    seen = np.ones((len(places), 1), np.float32) if visibility is None else np.asarray(visibility, np.float32)
    vectors = np.repeat(vectors, seen.shape[1], axis=1)
    return Embedding(vectors, seen, tuple(f"v{n}" for n in range(seen.shape[1])), "euclidean", (1.0,) * seen.shape[1])


def free(count: int, *cannot: tuple[int, int]) -> PersonLinks:
    return PersonLinks(np.arange(count), np.array(cannot, np.int64).reshape(-1, 2))


def test_near_rows_are_joined_and_far_ones_are_not():
    found = cluster(points(0, 0.1, 5, 5.1, 9), free(5), threshold=1.0)
    assert found.labels.tolist() == [0, 0, 1, 1, 2]
    assert found.distances[:4] == pytest.approx([0.1] * 4, abs=1e-5) and np.isnan(found.distances[4])


def test_a_chain_of_rows_does_not_become_one_person():
    chain = points(*np.arange(12) * 0.9)
    labels = cluster(chain, free(12), threshold=1.0).labels
    assert len(set(labels.tolist())) > 3
    for label in set(labels.tolist()):
        own = chain.vectors[labels == label, 0, 0]
        assert np.abs(own[:, None] - own).sum() / max(len(own) * (len(own) - 1), 1) < 1.0


def plain(rows: np.ndarray, cannot, threshold: float) -> list[set[int]]:
    """Average linkage, written as its definition."""
    groups = [{n} for n in range(len(rows))]
    while True:
        best = (threshold, -1, -1)
        for i in range(len(groups)):
            for j in range(i):
                if any({a, b} <= groups[i] | groups[j] for a, b in cannot):
                    continue
                mean = np.mean([rows[a, b] for a in groups[i] for b in groups[j]])
                best = min(best, (mean, i, j))
        if best[1] < 0:
            return groups
        groups[best[2]] |= groups.pop(best[1])


@pytest.mark.parametrize("seed", range(6))
def test_parts_and_updates_give_what_the_definition_gives(seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(9, 3)) * 1.5
    vectors = (centres[rng.integers(9, size=40)] + 0.4 * rng.normal(size=(40, 3)))[:, None].astype(np.float32)
    rows = Embedding(vectors, np.ones((40, 1), np.float32), ("v",), "euclidean", (1.0,))
    between = np.linalg.norm(vectors[:, None, 0] - vectors[None, :, 0], axis=2)
    cannot = [tuple(sorted(rng.choice(40, 2, replace=False).tolist())) for _ in range(15)]
    for threshold in (0.5, 1.0, 1.6):
        labels = cluster(rows, free(40, *cannot), threshold=threshold).labels
        found = {frozenset(np.flatnonzero(labels == n).tolist()) for n in set(labels.tolist())}
        assert found == {frozenset(group) for group in plain(between, cannot, threshold)}


def test_what_must_be_one_person_is_and_what_cannot_is_not():
    rows = points(0, 0.1, 0.2, 30)
    links = joined(4, [(0, 3)], apart_by_hand=[(0, 1)], feedback=[])
    labels = cluster(rows, links, threshold=1.0).labels
    assert labels[0] == labels[3] != labels[1] and labels[1] == labels[2]
    assert cluster(rows, free(4, (0, 1), (1, 2), (0, 2)), threshold=1.0).labels.tolist() == [0, 1, 2, 3]


def test_rows_without_a_common_part_are_not_joined_by_themselves():
    rows = points(0, 0, 0, visibility=[[1, 0], [0, 1], [1, 1]])
    apart = cluster(rows.select([0, 1]), free(2), threshold=1.0)
    assert apart.labels.tolist() == [0, 1] and np.isnan(apart.distances).all()
    assert cluster(rows, free(3), threshold=1.0).labels.tolist() == [0, 0, 0]  # the third shares a part with both


def test_what_hangs_together_beyond_memory_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(clustering, "MAX_TOGETHER", 10)
    with pytest.raises(DataError, match="12 rows hang together, more than 10: calibrate with fewer false alarms"):
        cluster(points(*np.arange(12) * 0.9), free(12), threshold=1.0)


def test_words_by_hand_win_over_feedback_and_these_over_who_was_seen_together():
    links = joined(
        6,
        [(0, 1)],
        apart_by_hand=[(0, 2)],
        feedback=[(0, 1, False), (1, 2, True), (3, 4, True), (4, 5, True)],
        together=[(3, 4), (0, 5)],
    )
    units = links.units.tolist()
    assert units[0] == units[1] != units[2] and units[3] == units[4] == units[5]
    pairs = {tuple(sorted(pair)) for pair in links.cannot.tolist()}
    assert pairs == {tuple(sorted((units[0], units[2]))), tuple(sorted((units[0], units[5])))}
    assert links.contradictions == 2


def test_feedback_that_joins_two_sides_of_a_split_through_a_third_row_is_left_out():
    links = joined(4, [], apart_by_hand=[(0, 1)], feedback=[(0, 2, True), (2, 3, True), (3, 1, True)])
    units = links.units.tolist()
    assert units[0] == units[2] == units[3] != units[1] and links.contradictions == 1


def test_overlaps_are_of_one_place_and_share_more_than_a_moment():
    spans = [Span("a", 0, 5, 0), Span("a", 5, 6, 1), Span("b", 0, 9, 2), Span("a", 5.5, 7, 3), Span("a", 8, 9, 4)]
    assert overlapping(spans).tolist() == [[1, 3]]
    assert overlapping([Span("a", 0, 5, 1), Span("a", 3, 3, 0), Span("a", 3, 3, 2)]).shape == (0, 2)
    assert overlapping([]).shape == (0, 2)


def test_somebody_in_two_outfits_keeps_all_that_look_like_either():
    rows = points(0, 0.1, 0.2, 30, 30.1, 60)
    links = joined(6, [(0, 3)], apart_by_hand=[], feedback=[])
    assert cluster(rows, links, threshold=1.0).labels.tolist() == [0, 0, 0, 0, 0, 1]


def test_what_is_another_person_stays_behind_when_groups_are_joined():
    rows = points(0, 0.1, 30, 30.1, 60, 60.1)
    links = joined(6, [(0, 2), (2, 4)], apart_by_hand=[(1, 3)], feedback=[])
    labels = cluster(rows, links, threshold=1.0).labels.tolist()
    assert labels[0] == labels[1] == labels[2] == labels[4] == labels[5] != labels[3]
