"""The surest pairs: of people with one crop in each of two cameras, seen through colours that differ by camera."""

from __future__ import annotations

import dataclasses

import numpy as np

from unveil.adaptation.groups.pseudo_labels import Links
from unveil.adaptation.groups.surest_pairs import NEAREST, centred, group_surest, seen_by_several, surest_pairs
from unveil.evaluation.distances import distance_matrix
from unveil.records import Embedding

PEOPLE = 60


def two_cameras(noise: float = 0.1, shift: float = 3.0, seed: int = 0) -> tuple[Embedding, np.ndarray]:
    """Return units 0 .. P-1 of camera 0 and P .. 2P-1 of camera 1; unit i and unit P + i are one person."""
    rng = np.random.default_rng(seed)
    people = rng.standard_normal((PEOPLE, 24))
    shifts = shift * rng.standard_normal((2, 24))
    vectors = np.concatenate([people + shifts[0], people + shifts[1]]) + noise * rng.standard_normal((2 * PEOPLE, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = Embedding(vectors[:, None].astype(np.float32), np.ones((2 * PEOPLE, 1), np.float32))
    return found, np.repeat([0, 1], PEOPLE)


def links(must=(), cannot=()):
    return Links(*(np.array(pairs, np.int64).reshape(-1, 2) for pairs in (must, cannot)))


def test_pairs_across_cameras_are_found_where_a_plain_distance_finds_none():
    units, cameras = two_cameras()
    plain = distance_matrix(units, units)
    np.fill_diagonal(plain, np.inf)
    nearest = plain.argmin(axis=1)
    assert (cameras[nearest] == cameras).all()  # everybody's nearest is of the own camera
    pairs = surest_pairs(centred(units, cameras), cameras)[:PEOPLE]
    assert (pairs[:, 0] + PEOPLE == pairs[:, 1]).mean() > 0.9


def test_sureness_is_that_of_the_definition():
    units, cameras = two_cameras(noise=0.8)
    distances = distance_matrix(units, units).astype(float)
    np.fill_diagonal(distances, np.inf)
    expected = {}
    for i in range(len(units)):
        for j in range(i + 1, len(units)):
            around_i = np.sort(distances[i, cameras == cameras[j]])[:NEAREST].mean()
            around_j = np.sort(distances[j, cameras == cameras[i]])[:NEAREST].mean()
            expected[i, j] = around_i + around_j - 2 * distances[i, j]
    found = [tuple(pair) for pair in surest_pairs(units, cameras).tolist()]
    best = sorted(expected, key=lambda pair: -expected[pair])
    assert found[:50] == best[:50] and all(expected[pair] > 0 for pair in found) and len(set(found)) == len(found)


def test_groups_hold_what_is_known_and_the_rest_is_undecided():
    units, cameras = two_cameras()
    must, cannot = [(0, 5), (3, PEOPLE + 4)], [(7, PEOPLE + 7), (0, PEOPLE)]
    labels, undecided = group_surest(units, cameras, links=links(must, cannot), pairs=1 / 3)
    assert labels[0] == labels[5] >= 0 and labels[3] == labels[PEOPLE + 4] >= 0
    assert labels[7] != labels[PEOPLE + 7] or labels[7] < 0
    assert labels[0] != labels[PEOPLE]
    joined = {tuple(pair) for pair in undecided.tolist()}
    assert joined and not joined & {(7, PEOPLE + 7), (0, PEOPLE), (0, 5), (3, PEOPLE + 4)}
    none, everything = group_surest(units, cameras, links=Links.none(), pairs=0)
    assert (none == -1).all() and len(everything) > 40


def test_a_hidden_vector_does_not_count():
    units, cameras = two_cameras()
    blind = np.concatenate([units.vectors, np.random.default_rng(1).standard_normal(units.vectors.shape)], axis=1)
    shown = np.stack([np.ones(2 * PEOPLE), np.zeros(2 * PEOPLE)], axis=1).astype(np.float32)
    both = Embedding(blind.astype(np.float32), shown, ("a", "b"), weights=(1.0, 1.0))
    assert (group_surest(both, cameras, links=Links.none(), pairs=1 / 3).labels == group_surest(
        units, cameras, links=Links.none(), pairs=1 / 3
    ).labels).all()  # fmt: skip


def test_few_units_and_cameras_with_one_are_no_error():
    units, _ = two_cameras()
    for count in (2, 3, 12):
        few = units.select(slice(0, count))
        assert len(group_surest(few, np.arange(count) % 3 - 1, links=Links.none(), pairs=0.5).labels) == count


def test_nobody_is_in_two_places():
    # Two places, each seen by both cameras: the person of unit i is also unit P + i, but every fourth is elsewhere.
    units, cameras = two_cameras()
    places = np.zeros(2 * PEOPLE, np.int64)
    places[[i for i in range(PEOPLE) if i % 4 == 0]] = 1
    known = Links(*2 * [np.empty((0, 2), np.int64)], places)
    plain = group_surest(units, cameras, links=Links.none(), pairs=0.5).labels
    assert plain[0] == plain[PEOPLE] >= 0
    undecided = group_surest(units, cameras, links=known, pairs=0.2).undecided
    assert (places[undecided[:, 0]] == places[undecided[:, 1]]).all() and len(undecided) > 10
    groups = group_surest(units, cameras, links=known, pairs=0.5)
    for group in range(groups.labels.max() + 1):
        assert len(set(places[groups.labels == group])) == 1
    assert groups.labels[1] == groups.labels[PEOPLE + 1] >= 0
    must = dataclasses.replace(known, must=np.array([[0, PEOPLE]]))
    assert group_surest(units, cameras, links=must, pairs=0.5).labels[0] >= 0  # what somebody said counts for more


def test_across_cameras_alone_where_several_see_a_place_and_one_unit_of_each():
    units, cameras = two_cameras(shift=0.0, noise=0.3)
    twice = Embedding.concatenate([units, units.select(slice(0, PEOPLE))])  # everybody twice in the first camera
    of_both = np.concatenate([cameras, np.zeros(PEOPLE, np.int64)])
    found = group_surest(twice, of_both, links=Links.none(), pairs=1.0)
    for group in range(found.labels.max() + 1):
        assert sorted(of_both[found.labels == group]) == [0, 1]
    left = {tuple(pair) for pair in found.undecided.tolist()}
    same = [(i, 2 * PEOPLE + i) for i in range(PEOPLE)]  # not joined, and not told apart either
    assert sum(pair in left for pair in same) > 0.9 * PEOPLE
    alone = np.zeros(3 * PEOPLE, np.int64)
    pairs = group_surest(twice, alone, links=Links.none(), pairs=1 / 3).labels
    assert (pairs[:PEOPLE] == pairs[2 * PEOPLE :]).mean() > 0.9  # one camera: any two


def test_who_is_seen_by_several_cameras():
    cameras = np.array([0, 0, 1, 2, 2, 3])
    assert seen_by_several(cameras, Links.none()).all()
    places = np.array([7, 7, 7, 2, 2, 5])
    known = Links(*2 * [np.empty((0, 2), np.int64)], places)
    assert seen_by_several(cameras, known).tolist() == [True] * 3 + [False] * 3
    assert seen_by_several(cameras[1:], known.among(np.arange(1, 6))).tolist() == [True] * 2 + [False] * 3
    assert not seen_by_several(np.zeros(4, np.int64), Links.none()).any()
