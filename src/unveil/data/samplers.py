"""Batches of P persons x K images for metric learning (spec: CAL's, Simple-ReID's and BoT's samplers).

Pure functions of labels, seed and epoch; a batch is an array of P*K rows, the K images of a person side by side. Where
people that look alike are to meet in a batch, the vectors by which they do are an argument too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from unveil.data.training import TrainingSet
from unveil.errors import DataError
from unveil.recipe import SamplerSettings


@dataclass(frozen=True)
class Likeness:
    """People who look alike meet in a batch: hard negatives among all identities, not among those drawn at random.

    After Liao and Shao, Graph Sampling Based Deep Metric Learning (CVPR 2022, section 3.2). There each person is shown
    once an epoch with the nearest people; here a person's groups of images are dealt out as without it, each once.

    Args:
        share: of a batch's people in (0, 1] that are the nearest to one of them; the others are drawn at random.
        embed: takes rows and returns ``(len(rows), D)`` unit vectors; it is asked once an epoch, for a crop of each
            group.
    """

    share: float
    embed: Callable[[np.ndarray], np.ndarray]


def epoch_batches(
    data: TrainingSet,
    settings: SamplerSettings,
    *,
    seed: int,
    epoch: int,
    max_per_person: int | None = None,
    embed: Callable[[np.ndarray], np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Return the batches of an epoch as a recipe wants them; see `pk_unique` and `pk_groups`.

    Args:
        data: the crops.
        settings: the recipe's.
        seed: of the run.
        epoch: 0-based.
        max_per_person: images of one person used in an epoch, at most.
        embed: see `Likeness`; without it ``settings.alike`` has no effect, as where batches are only counted.

    Raises:
        DataError: too few persons, ``cross_clothes`` without clothes labels, or ``alike`` where people come twice.
    """
    if settings.cross_clothes and data.clothes_codes is None:
        raise DataError("sampler.cross_clothes needs clothes labels, but not every training crop has one")
    if settings.alike and settings.kind == "pk_groups":
        raise DataError("sampler.alike needs different people in a batch: set sampler.kind to pk_unique or pk_outfits")
    alike = Likeness(settings.alike, embed) if settings.alike and embed is not None else None
    if settings.kind == "pk_outfits":
        if data.clothes_codes is None:
            raise DataError("sampler.kind=pk_outfits needs clothes labels, but not every training crop has one")
        return pk_outfits(
            data.person_codes,
            data.clothes_codes,
            persons=settings.persons,
            images=settings.images,
            seed=seed,
            epoch=epoch,
            max_per_person=max_per_person,
            alike=alike,
        )
    clothes = data.clothes_codes if settings.cross_clothes else None
    drawn = partial(pk_unique, alike=alike)
    sample: Callable[..., list[np.ndarray]] = pk_groups if settings.kind == "pk_groups" else drawn
    return sample(
        data.person_codes,
        settings.persons,
        images=settings.images,
        seed=seed,
        epoch=epoch,
        max_per_person=max_per_person,
        clothes=clothes,
    )


def pk_groups(
    labels: np.ndarray,
    persons: int,
    *,
    images: int,
    seed: int,
    epoch: int,
    max_per_person: int | None = None,
    clothes: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Cut every person's images into groups of K, shuffle all groups; a person may come twice in a batch.

    Args:
        labels: ``(N,)`` identity codes.
        persons: P, groups in a batch.
        images: K, images in a group.
        seed: seed of the run.
        epoch: 0-based; each epoch has its own order.
        max_per_person: images of one person used in an epoch, at most.
        clothes: ``(N,)`` outfit codes: every group of a person with two outfits or more then shows at least two.

    Returns:
        Arrays of P*K rows; groups that do not fill a batch are left for other epochs.

    Raises:
        DataError: fewer than P persons.
    """
    rng = np.random.default_rng([seed, epoch])
    by_person = _groups(labels, persons, images=images, rng=rng, max_per_person=max_per_person, clothes=clothes)
    groups = [group for person in by_person for group in person]
    order = rng.permutation(len(groups))
    full = len(groups) // persons
    return [np.concatenate([groups[i] for i in order[b * persons : (b + 1) * persons]]) for b in range(full)]


def pk_unique(
    labels: np.ndarray,
    persons: int,
    *,
    images: int,
    seed: int,
    epoch: int,
    max_per_person: int | None = None,
    clothes: np.ndarray | None = None,
    alike: Likeness | None = None,
) -> list[np.ndarray]:
    """Draw P different persons for each batch until fewer than P have a group left; arguments as in `pk_groups`."""
    rng = np.random.default_rng([seed, epoch])
    return _draw_persons(
        _groups(labels, persons, images=images, rng=rng, max_per_person=max_per_person, clothes=clothes),
        persons,
        rng=rng,
        alike=alike,
    )


def pk_outfits(
    labels: np.ndarray,
    clothes: np.ndarray,
    *,
    persons: int,
    images: int,
    seed: int,
    epoch: int,
    max_per_person: int | None = None,
    alike: Likeness | None = None,
) -> list[np.ndarray]:
    """Draw P different persons for each batch, each with K / 2 images in each of two outfits.

    Somebody with one outfit, or with an odd number of halves, gives K images of one.

    Args:
        labels: ``(N,)`` identity codes.
        clothes: ``(N,)`` outfit codes.
        persons: P.
        images: K, even.
        seed: seed of the run.
        epoch: 0-based; each epoch has its own order.
        max_per_person: images of one person used in an epoch, at most; outfits share them evenly.
        alike: whether people who look alike meet; in the first of a group's two outfits.

    Returns:
        Arrays of P*K rows.

    Raises:
        DataError: fewer than P persons, or an odd K.
    """
    if images % 2:
        raise DataError(f"sampler.kind=pk_outfits takes half of a person's images in each outfit: {images} is odd")
    rng = np.random.default_rng([seed, epoch])
    half = images // 2
    by_person = []
    for rows in _rows_by_person(labels, persons):
        halves = []
        outfits = rng.permutation(np.unique(clothes[rows]))
        shares = _shares([int((clothes[rows] == outfit).sum()) for outfit in outfits], max_per_person)
        for outfit, share in zip(outfits, shares, strict=True):
            worn = rng.permutation(rows[clothes[rows] == outfit])[:share]
            if len(worn) % half:
                worn = np.concatenate([worn, rng.choice(worn, half - len(worn) % half)])
            halves.append(list(worn.reshape(-1, half)))
        # Outfits take turns, so that neighbours are of two outfits wherever there are two.
        turns = [outfit[i] for i in range(max(map(len, halves))) for outfit in halves if i < len(outfit)]
        if len(turns) % 2:
            turns.append(turns[0])
        by_person.append([np.concatenate(turns[i : i + 2]) for i in range(0, len(turns), 2)])
    return _draw_persons(by_person, persons, rng=rng, alike=alike)


def _shares(counts: list[int], most: int | None) -> list[int]:
    """Return how many images of each outfit are used where outfits take turns until there are so many together."""
    turns = sorted((turn, outfit) for outfit, count in enumerate(counts) for turn in range(count))[:most]
    return np.bincount([outfit for _, outfit in turns], minlength=len(counts)).tolist()


def _draw_persons(
    by_person: list[list[np.ndarray]], persons: int, *, rng: np.random.Generator, alike: Likeness | None
) -> list[np.ndarray]:
    """Draw batches of one group each of P different persons, until fewer than P have a group left."""
    if alike is not None:
        return _draw_alike(by_person, persons, rng=rng, alike=alike)
    left = [list(groups) for groups in by_person]
    batches: list[np.ndarray] = []
    while len(available := [i for i, groups in enumerate(left) if groups]) >= persons:
        drawn = rng.choice(available, persons, replace=False)
        batches.append(np.concatenate([left[i].pop() for i in drawn]))
    return batches


def _draw_alike(
    by_person: list[list[np.ndarray]], persons: int, *, rng: np.random.Generator, alike: Likeness
) -> list[np.ndarray]:
    """Draw batches as `_draw_persons`, a share of whose groups are the nearest to one that is drawn at random."""
    groups = [group for own in by_person for group in own]
    owners = np.repeat(np.arange(len(by_person)), [len(own) for own in by_person])
    vectors = alike.embed(np.array([group[0] for group in groups]))
    near = max(1, round(alike.share * persons))
    left = np.arange(len(groups))
    batches: list[np.ndarray] = []
    while len(np.unique(owners[left])) >= persons:
        # The nearest group of each person, persons from near to far; at random from where the share ends.
        by_distance = left[np.argsort(-(vectors[left] @ vectors[rng.choice(left)]), kind="stable")]
        nearest = by_distance[np.sort(np.unique(owners[by_distance], return_index=True)[1])]
        others = rng.permutation(left[~np.isin(owners[left], owners[nearest[:near]])])
        others = others[np.sort(np.unique(owners[others], return_index=True)[1])]
        drawn = np.concatenate([nearest[:near], others[: persons - near]])
        batches.append(np.concatenate([groups[i] for i in drawn]))
        left = np.setdiff1d(left, drawn)
    return batches


def _rows_by_person(labels: np.ndarray, persons: int) -> list[np.ndarray]:
    """Return the rows of each person, in the order of their codes, or refuse fewer than P persons."""
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    if len(starts) < persons:
        raise DataError(
            f"a batch needs {persons} persons (sampler.persons), but the training set has {len(starts)}; "
            f"set sampler.persons={len(starts)} or less"
        )
    return np.split(order, starts[1:])


def _groups(
    labels: np.ndarray,
    persons: int,
    *,
    images: int,
    rng: np.random.Generator,
    max_per_person: int | None,
    clothes: np.ndarray | None,
) -> list[list[np.ndarray]]:
    """Return each person's groups of K rows, persons in the order of their codes."""
    result = []
    for rows in _rows_by_person(labels, persons):
        rows = rng.permutation(rows)
        if clothes is not None:
            rows = _alternate(rows, clothes)
        rows = rows[:max_per_person]
        if len(rows) < images:
            # The person's own images first, so that none is lost to the draw.
            rows = np.concatenate([rows, rng.choice(rows, images - len(rows))])
        result.append([rows[i : i + images] for i in range(0, len(rows) - images + 1, images)])
        if clothes is not None:
            _mix(result[-1], rows, clothes=clothes, rng=rng)
    return result


def _alternate(rows: np.ndarray, clothes: np.ndarray) -> np.ndarray:
    """Order shuffled rows so that outfits take turns."""
    turn = np.zeros(len(rows), dtype=np.int64)
    for outfit in np.unique(clothes[rows]):
        worn = clothes[rows] == outfit
        turn[worn] = np.arange(worn.sum())
    return rows[np.argsort(turn, kind="stable")]


def _mix(groups: list[np.ndarray], rows: np.ndarray, *, clothes: np.ndarray, rng: np.random.Generator) -> None:
    """Give a group of one outfit an image of another one; the rarer outfit is then seen more than once."""
    for group in groups:
        others = rows[clothes[rows] != clothes[group[0]]]
        if len(group) > 1 and len(others) and (clothes[group] == clothes[group[0]]).all():
            group[-1] = rng.choice(others)
