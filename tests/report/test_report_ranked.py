"""Queries with what was found for them: junk left out, right and wrong ones told apart and both shown."""

from __future__ import annotations

import numpy as np
import pytest

from unveil.data.protocols import MARKET
from unveil.records import Embedding, Sample
from unveil.report.ranked import findable, ranked_answer, right_and_wrong

PEOPLE = 6


@pytest.fixture
def crops() -> tuple[Embedding, tuple[Sample, ...]]:
    """Each person as a query of camera 0, and in the gallery of camera 0 (junk) and 1; odd ones look like the next."""
    samples, angles = [], []
    for person in range(PEOPLE):
        for split, camera, turn in (
            ("query", "c0", 0.0),
            ("gallery", "c0", 0.001),
            ("gallery", "c1", 0.8 * (person % 2)),
        ):
            samples.append(Sample(f"{person}-{split}-{camera}", b"", person=f"p{person}", camera=camera, split=split))
            angles.append(person * 0.5 + turn)
    samples.append(Sample("alone", b"", person="nobody else", camera="c0", split="query"))
    angles.append(9.0)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)[:, None]
    return Embedding(vectors, np.ones((len(samples), 1), np.float32), ("global",), "cosine", (1.0,)), tuple(samples)


def test_a_query_is_findable_where_its_person_is_in_the_gallery(crops):
    assert findable(crops[1], MARKET).tolist() == list(range(PEOPLE))


def test_junk_is_not_among_what_is_shown_and_the_nearest_come_first(crops):
    embedding, samples = crops
    answer = ranked_answer(embedding, samples, protocol=MARKET, number=2, top=99, title="today")
    assert answer.title == "market, today: 2-query-c0"
    distances = [match.distance for match in answer.matches]
    assert len(distances) == 2 * PEOPLE - 1 and distances == sorted(distances)
    assert answer.matches[0].same and sum(match.same for match in answer.matches) == 1
    assert len(ranked_answer(embedding, samples, protocol=MARKET, number=2, top=3).matches) == 3


def test_as_many_wrong_as_right_answers_are_shown_and_named_so(crops):
    embedding, samples = crops
    answers = right_and_wrong(embedding, samples, protocol=MARKET, count=4)
    assert [answer.matches[0].same for answer in answers] == [True, True, False, False]
    assert all("right at once" in answer.title for answer in answers[:2])
    assert all("first right at rank " in answer.title for answer in answers[2:])
    ranks = [1 + next(n for n, match in enumerate(answer.matches) if match.same) for answer in answers[2:]]
    assert [f"rank {rank}:" in answer.title for rank, answer in zip(ranks, answers[2:], strict=True)] == [True, True]
    keys = [answer.title.rpartition(": ")[2] for answer in answers]
    assert len(set(keys)) == 4 and not any(key.startswith("alone") for key in keys)
