"""What a result prints, and what it is when it is read again."""

from __future__ import annotations

import dataclasses

from unveil.evaluation.evaluate import Result

PLAIN = Result(
    protocol="market",
    protocol_hash="0d65083e",
    dataset="",
    dataset_hash="",
    queries=12,
    gallery=24,
    dropped=1,
    cmc={1: 0.5, 5: 0.75},
    mean_ap=0.4,
    mean_inp=0.125,
    intervals={"cmc-1": (0.4, 0.6), "cmc-5": (0.7, 0.8), "mAP": (0.3, 0.5), "mINP": (0.1, 0.2)},
)


def test_a_plain_result_is_printed_as_figures_with_intervals_in_percent() -> None:
    assert str(PLAIN) == (
        "crops under market#0d65083e: R-1 50.0 [40.0, 60.0], R-5 75.0 [70.0, 80.0], mAP 40.0 [30.0, 50.0], "
        "mINP 12.5 [10.0, 20.0]; 12 queries (1 dropped) x 24 gallery crops"
    )


def test_a_dataset_re_ranking_draws_splits_and_unreadable_crops_are_named() -> None:
    named = dataclasses.replace(PLAIN, dataset="small", cmc={}, mean_inp=0.5, draws=2, splits=2, reranked="k1 3")
    named = dataclasses.replace(named, std={"mAP": 0.05}, unreadable={"a": "damaged", "b": "empty"})
    figures = "mAP 40.0 ± 5.0 [30.0, 50.0], mINP 50.0 [10.0, 20.0]"
    rest = (
        "12 queries (1 dropped) x 24 gallery crops, 2 draws, mean of 2 splits; 2 crops cannot be read and took no part"
    )
    assert str(named) == f"small under market#0d65083e, re-ranked (k1 3): {figures}; {rest}"
    hashed = dataclasses.replace(named, dataset_hash="abc")
    assert str(hashed) == str(named).replace("small", "small@abc")


def test_a_result_without_what_was_added_later_can_be_read() -> None:
    """Cards of older models have no curve, draws, splits or crops that could not be read."""
    tree = PLAIN.to_json()
    for name in ("draws", "std", "reranked", "curve", "splits", "unreadable"):
        del tree[name]
    assert Result.from_json(tree) == PLAIN
