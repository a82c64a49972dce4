"""Properties of the samplers that training relies on."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.data.samplers import Likeness, pk_groups, pk_outfits, pk_unique
from unveil.errors import DataError

SAMPLERS = (pk_unique, pk_groups)
sizes = st.lists(st.integers(1, 14), min_size=4, max_size=9)


def labelled(images_per_person, seed=0):
    labels = np.repeat(np.arange(len(images_per_person)) * 3, images_per_person)
    return np.random.default_rng(seed).permutation(labels)


@settings(max_examples=40, deadline=None)
@given(sizes, st.sampled_from(SAMPLERS), st.integers(1, 4), st.integers(1, 5), st.integers(0, 3))
def test_batches_are_p_groups_of_k_images_of_one_person(counts, sampler, persons, images, epoch):
    labels = labelled(counts)
    for batch in sampler(labels, persons, images=images, seed=0, epoch=epoch):
        groups = labels[batch].reshape(persons, images)
        assert (groups == groups[:, :1]).all()
        if sampler is pk_unique:
            assert len(set(groups[:, 0])) == persons


@settings(max_examples=40, deadline=None)
@given(sizes, st.sampled_from(SAMPLERS), st.integers(1, 5))
def test_an_epoch_repeats_no_image_of_a_person_with_enough_of_them(counts, sampler, images):
    labels = labelled(counts)
    used = Counter(np.concatenate([np.empty(0, int), *sampler(labels, 2, images=images, seed=5, epoch=0)]).tolist())
    enough = {label for label, count in Counter(labels.tolist()).items() if count >= images}
    assert all(count == 1 for row, count in used.items() if labels[row] in enough)


@settings(max_examples=30, deadline=None)
@given(sizes, st.integers(1, 5), st.integers(1, 4))
def test_groups_use_every_full_group_once(counts, images, persons):
    groups = sum(max(1, count // images) for count in counts)
    assert len(pk_groups(labelled(counts), persons, images=images, seed=1, epoch=0)) == groups // persons


@settings(max_examples=30, deadline=None)
@given(sizes, st.integers(1, 5), st.integers(1, 4))
def test_unique_stops_only_when_fewer_than_p_persons_have_a_group_left(counts, images, persons):
    labels = labelled(counts)
    left = {3 * person: max(1, count // images) for person, count in enumerate(counts)}
    for batch in pk_unique(labels, persons, images=images, seed=1, epoch=0):
        for person in labels[batch[::images]]:
            left[person] -= 1
    assert min(left.values()) >= 0
    assert sum(count > 0 for count in left.values()) < persons


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_seed_and_epoch_decide(sampler):
    labels = labelled([8] * 10)

    def run(seed, epoch):
        return np.concatenate(sampler(labels, 4, images=4, seed=seed, epoch=epoch)).tolist()

    assert run(3, 5) == run(3, 5)
    assert run(3, 5) != run(3, 6) and run(3, 5) != run(4, 5) and run(0, 1) != run(1, 0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_person_with_one_image_takes_part(sampler):
    labels = np.array([0, 1, 1, 1, 1])
    batch = np.concatenate(sampler(labels, 2, images=3, seed=0, epoch=0))
    assert Counter(labels[batch].tolist()) == {0: 3, 1: 3}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_max_per_person_bounds_an_epoch(sampler):
    labels = labelled([40, 40, 4, 4])
    rows = np.concatenate(sampler(labels, 2, images=2, seed=0, epoch=0, max_per_person=4))
    assert max(Counter(labels[rows].tolist()).values()) <= 4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_too_few_persons(sampler):
    with pytest.raises(DataError, match=r"needs 4 persons.*has 3"):
        sampler(labelled([5, 5, 5]), 4, images=2, seed=0, epoch=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(SAMPLERS), st.integers(2, 4), st.sampled_from([None, 4, 8]))
def test_cross_clothes_shows_two_outfits_wherever_a_person_has_them(seed, sampler, images, most):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), rng.integers(2, 12, 6))
    clothes = labels * 10 + (rng.random(len(labels)) < 0.3)
    several = {p for p in range(6) if len(set(clothes[labels == p])) > 1}
    for batch in sampler(labels, 2, images=images, seed=seed, epoch=0, max_per_person=most, clothes=clothes):
        for group in batch.reshape(2, images):
            assert len(set(labels[group])) == 1
            assert len(set(clothes[group])) > 1 or labels[group[0]] not in several


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_groups_are_mixed_anew_each_epoch(sampler):
    labels = labelled([16] * 4)

    def groups(epoch):
        return {
            frozenset(group)
            for batch in sampler(labels, 2, images=4, seed=0, epoch=epoch)
            for group in batch.reshape(2, 4).tolist()
        }

    assert len(groups(0)) == 16 and len(groups(0) & groups(1)) < 4


def test_pk_outfits_shows_everybody_in_two_outfits_and_no_image_twice():
    persons = np.repeat(np.arange(6), 12)
    clothes = persons * 3 + np.tile(np.repeat(np.arange(3), 4), 6)
    batches = pk_outfits(persons, clothes, persons=3, images=4, seed=0, epoch=0)
    assert 4 <= len(batches) <= 6  # what is left of fewer than three persons waits for other epochs
    for batch in batches:
        for rows in batch.reshape(3, 4):
            assert len(set(persons[rows])) == 1
            assert sorted(np.bincount(clothes[rows] - clothes[rows].min()).tolist())[-2:] == [2, 2]
        assert len(set(persons[batch])) == 3
    drawn = np.concatenate(batches)
    assert len(set(drawn)) == len(drawn)
    again = pk_outfits(persons, clothes, persons=3, images=4, seed=0, epoch=0)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    other = pk_outfits(persons, clothes, persons=3, images=4, seed=0, epoch=1)
    assert not all(np.array_equal(a, b) for a, b in zip(batches, other, strict=True))


def test_pk_outfits_bounds_an_epoch_as_the_others_do():
    persons = np.repeat(np.arange(3), 40)
    clothes = persons * 4 + np.tile(np.repeat([0, 1, 2, 3], [1, 2, 17, 20]), 3)
    for most in (8, None):
        batches = pk_outfits(persons, clothes, persons=3, images=4, seed=0, epoch=0, max_per_person=most)
        drawn = np.unique(np.concatenate(batches))
        assert np.bincount(persons[drawn]).tolist() == [most or 40] * 3
        assert len(np.unique(clothes[drawn])) == 12, "every outfit of everybody"
    two = persons * 2 + np.tile(np.repeat([0, 1], 20), 3)
    batches = pk_outfits(persons, two, persons=3, images=4, seed=0, epoch=0, max_per_person=8)
    assert len(batches) == 2 and len(np.unique(np.concatenate(batches))) == 24


def test_pk_outfits_refuses_an_odd_number_and_too_few_people():
    with pytest.raises(DataError, match="odd"):
        pk_outfits(np.zeros(4, int), np.zeros(4, int), persons=1, images=3, seed=0, epoch=0)
    with pytest.raises(DataError, match="2 persons"):
        pk_outfits(np.zeros(4, int), np.zeros(4, int), persons=2, images=2, seed=0, epoch=0)
    one_outfit = pk_outfits(np.zeros(5, int), np.zeros(5, int), persons=1, images=4, seed=0, epoch=0)
    assert {len(batch) for batch in one_outfit} == {4}


def on_a_line(labels):
    """Likeness of crops whose person's number is an angle: neighbours in number are nearest."""

    def embed(rows):
        angle = labels[rows] / (labels.max() + 1)  # less than a third of a turn: no person is near both ends
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    return embed


@settings(max_examples=30, deadline=None)
@given(sizes, st.integers(1, 4), st.integers(1, 4), st.sampled_from([0.01, 0.5, 1.0]), st.integers(0, 3))
def test_people_who_look_alike_are_dealt_out_like_others_each_group_once(counts, persons, images, share, epoch):
    labels = labelled(counts)
    alike = Likeness(share, on_a_line(labels))
    batches = pk_unique(labels, persons, images=images, seed=1, epoch=epoch, alike=alike)
    again = pk_unique(labels, persons, images=images, seed=1, epoch=epoch, alike=alike)
    assert np.array_equal(batches, again)
    left = {3 * person: max(1, count // images) for person, count in enumerate(counts)}
    for batch in batches:
        groups = labels[batch].reshape(persons, images)
        assert (groups == groups[:, :1]).all() and len(set(groups[:, 0])) == persons
        for person in groups[:, 0]:
            left[person] -= 1
    assert min(left.values()) >= 0
    assert sum(count > 0 for count in left.values()) < persons


def test_a_share_of_a_batch_is_nearest_to_one_and_the_rest_is_from_anywhere():
    labels = np.repeat(np.arange(100), 4)

    def first(share):
        batches = [
            pk_unique(labels, 8, images=4, seed=seed, epoch=0, alike=Likeness(share, on_a_line(labels)))[0]
            for seed in range(20)
        ]
        return [labels[batch[::4]] for batch in batches]

    for people in first(1.0):
        assert np.ptp(people) == 7 or 0 in people or 99 in people  # neighbours of one in the middle
    for people in first(0.5):
        assert np.ptp(people[:4]) <= 4
    assert np.mean([np.ptp(people) for people in first(0.5)]) > 50


def test_people_meet_by_an_outfit_of_theirs():
    labels = np.repeat(np.arange(30), 8)
    clothes = np.arange(240) // 4
    styles = np.random.default_rng(0).permutation(60) // 2  # each is that of two outfits

    def embed(rows):
        return np.eye(30)[styles[clothes[rows]]]

    alike = Likeness(1.0, embed)
    for seed in range(10):
        batch = pk_outfits(labels, clothes, persons=2, images=8, seed=seed, epoch=0, alike=alike)[0]
        assert len(set(labels[batch])) == 2 and len(set(clothes[batch])) == 4
        # The first outfit of a group is what is looked for; whoever else wears its style with it is there.
        style = styles[clothes[batch[0]]]
        twins = np.flatnonzero(styles == style)
        others = [outfit for outfit in twins if outfit // 2 != labels[batch[0]]]
        firsts = shown_first(labels, clothes, seed)
        assert styles[clothes[batch[8]]] == style or not any(outfit in firsts for outfit in others)


def shown_first(labels, clothes, seed):
    """Outfits by which groups of that draw are looked for: those of the first crop of each."""
    batches = pk_outfits(labels, clothes, persons=1, images=8, seed=seed, epoch=0)
    return {int(clothes[batch[0]]) for batch in batches}
