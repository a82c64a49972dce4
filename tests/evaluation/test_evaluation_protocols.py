"""Which crops take part and which are junk."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.data.protocols import PROTOCOLS
from unveil.errors import ProtocolError
from unveil.evaluation.protocols import labels, select
from unveil.records import Protocol, Sample, Split, Where


def crop(key: str, split: Split | None, person: str | None = "a", camera: str | None = "1", **more: Any) -> Sample:
    return Sample(key, data=b"", split=split, person=person, camera=camera, **more)


PAIR = [crop("q", "query", camera="1"), crop("g", "gallery", camera="2")]


def test_the_page_has_every_protocol_of_the_package_and_no_other() -> None:
    root = Path(__file__).parents[2]
    texts = [path.read_text() for path in (root / "src").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r'\bProtocol\(\s*"([\w-]+)"', text)}
    rows = re.findall(r"^\| (`.+?) \|", (root / "docs/protocols.md").read_text(), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == named > set(PROTOCOLS)


def test_split_and_conditions_choose_the_crops() -> None:
    samples = [
        crop("t", "train"), crop("q1", "query", camera="1"), crop("q2", "query", camera="2"),
        crop("g1", "gallery", camera="1", extra={"visible": "0.4"}), crop("g2", "gallery", extra={"visible": "1e-1"}),
    ]  # fmt: skip
    partly = (Where("visible", ">", 0.2), Where("visible", "<", 1.0))
    protocol = Protocol("p", query=(Where("camera", "in", ("2", "3")),), gallery=partly)
    query, gallery = select(samples, protocol)
    assert (query.tolist(), gallery.tolist()) == ([2], [3])


@pytest.mark.parametrize(("op", "kept"), [("<", ["a"]), ("<=", ["a", "b"]), (">", ["c"]), (">=", ["b", "c"])], ids=str)
def test_numbers_are_compared_as_numbers(op: Any, kept: list[str]) -> None:
    """As text "10" would come before "9"."""
    numbers = {"a": "9", "b": "10", "c": "11"}
    samples = [crop("q", "query"), *(crop(k, "gallery", extra={"n": n}) for k, n in numbers.items())]
    _, gallery = select(samples, Protocol("p", gallery=(Where("n", op, 10.0),)))
    assert [samples[i].key for i in gallery] == kept


def test_a_condition_on_split_replaces_the_default() -> None:
    protocol = Protocol("all", junk=(), gallery=(Where("split", "in", ("query", "gallery")),))
    query, gallery = select(PAIR, protocol)
    assert sorted(gallery.tolist()) == [0, 1]
    row, found, junk = labels(PAIR, query, gallery=gallery, protocol=protocol).pairs(slice(0, 1))
    assert [(gallery[j], bool(x)) for j, x in zip(found, junk, strict=True) if x] == [(0, True)]
    assert len(row) == 2


@pytest.mark.parametrize(
    ("samples", "protocol", "message"),
    [
        ([crop("q", "query", camera=None), PAIR[1]], PROTOCOLS["market"], "'camera', which 1 of 2 crops"),
        (PAIR, PROTOCOLS["cross_clothes"], "'clothes', which 2 of 2 crops"),
        ([crop("q", "query", person=None), PAIR[1]], PROTOCOLS["no_junk"], "'person', which 1 of 1 crops"),
        ([PAIR[0], crop("t", "train")], PROTOCOLS["market"], "no gallery crop is left of 2"),
        ([PAIR[1]], PROTOCOLS["market"], "no query crop is left of 1"),
        ([crop("x", None)], PROTOCOLS["market"], "no query crop is left"),
        (PAIR, Protocol("p", query=(Where("camera", "in", ("9",)),)), "no query crop is left .* camera in"),
        (PAIR, Protocol("p", query=(Where("visible", "<", 0.5),)), "'visible', which 1 of 1 crops"),
        (PAIR, Protocol("p", query=(Where("person", "<", 0.5),)), "'q' has 'a', which is not a number"),
    ],
)
def test_a_protocol_that_cannot_be_applied_says_why(samples: list[Sample], protocol: Protocol, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        select(samples, protocol)


def test_distractors_need_no_camera() -> None:
    samples = [*PAIR, crop("d", "gallery", person="nobody", camera=None)]
    _, gallery = select(samples, PROTOCOLS["market"])
    assert len(gallery) == 2


def test_gallery_crops_of_unknown_persons_are_distractors() -> None:
    unknown = [crop(f"u{i}", "gallery", person=None, camera=None) for i in range(5)]
    samples = [*PAIR, *unknown, crop("h", "gallery", camera="3")]
    for protocol in (*PROTOCOLS.values(), Protocol("single", shots=1, draws=2)):
        if protocol.junk and protocol.junk[0] != "same_camera":
            continue
        filled = [
            s if s.person is None else Sample(s.key, data=b"", person=s.person, camera=s.camera, clothes="x" + s.key,
                                              tracklet=s.key, split=s.split)
            for s in samples
        ]  # fmt: skip
        query, gallery = select(filled, protocol)
        assert {samples[i].key for i in gallery} >= {u.key for u in unknown}, "all stay, in draws of one crop too"
        _, crops, _ = labels(filled, query, gallery=gallery, protocol=protocol).pairs(slice(0, 1))
        assert all(filled[gallery[j]].person == "a" for j in crops), "none is a match"


def test_shots_are_drawn_per_person_and_differ_between_draws() -> None:
    samples = [crop(f"q{p}", "query", person=p) for p in "ab"]
    samples += [crop(f"{p}{i}", "gallery", person=p, camera="2") for p in "ab" for i in range(9)]
    samples += [crop("single", "gallery", person="c")]
    protocol = Protocol("single", shots=2, draws=3)
    draws = [select(samples, protocol, draw=draw)[1] for draw in range(3)]
    for gallery in draws:
        persons = [samples[i].person for i in gallery]
        assert (persons.count("a"), persons.count("b"), persons.count("c")) == (2, 2, 1)
    assert len({tuple(g) for g in draws}) == 3
    np.testing.assert_array_equal(draws[1], select(samples, protocol, draw=1)[1])
    np.testing.assert_array_equal(draws[0], select(samples, protocol)[1])


@given(st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_samples_changes_nothing(order: random.Random, shots: bool) -> None:
    samples = [crop(f"q{i}", "query", person=str(i % 3)) for i in range(5)]
    samples += [crop(f"g{i}", "gallery", person=str(i % 4), camera=str(i % 2)) for i in range(12)]
    protocol = Protocol("p", shots=2, draws=2) if shots else PROTOCOLS["market"]
    shuffled = order.sample(samples, len(samples))
    for draw in range(protocol.draws):
        before, after = select(samples, protocol, draw=draw), select(shuffled, protocol, draw=draw)
        for old, new in zip(before, after, strict=True):
            assert [samples[i].key for i in old] == [shuffled[i].key for i in new]


RULES = st.lists(
    st.sampled_from(["same_camera", "other_camera", "same_clothes", "other_clothes", "same_tracklet"]), unique=True
)
CROPS = st.lists(st.tuples(*(st.sampled_from("ab") for _ in range(4)), st.booleans()), min_size=2, max_size=14)


@given(RULES, CROPS)
@settings(max_examples=60, deadline=None)
def test_junk_is_what_the_relations_say(rules: list[Any], rows: list[Any]) -> None:
    samples = [
        Sample(f"{i:02d}", data=b"", person=p, camera=c, clothes=o, tracklet=t, split="query" if q else "gallery")
        for i, (p, c, o, t, q) in enumerate(rows)
    ]
    everybody = (Where("split", "in", ("query", "gallery")),)
    protocol = Protocol("p", tuple(rules), everybody, everybody)
    query, gallery = select(samples, protocol)
    codes = labels(samples, query, gallery=gallery, protocol=protocol)
    for start in range(0, len(query), 3):
        found = {(start + r, g): j for r, g, j in zip(*codes.pairs(slice(start, start + 3)), strict=True)}
        for i in range(start, min(start + 3, len(query))):
            for j in range(len(gallery)):
                q, g = samples[query[i]], samples[gallery[j]]
                assert ((i, j) in found) == (q.person == g.person)
                if q.person == g.person:
                    broken = [
                        (getattr(q, rule.split("_")[1]) == getattr(g, rule.split("_")[1])) == rule.startswith("same")
                        for rule in rules
                    ]
                    assert found[i, j] == (q is g or any(broken))


def test_hashes_of_the_named_protocols_are_frozen() -> None:
    """A figure is compared by its protocol's hash: if this test fails, old figures have lost their protocol."""
    assert {name: p.hash for name, p in PROTOCOLS.items()} == {
        "market": "0d65083e",
        "no_junk": "d37baede",
        "cross_clothes": "546a2cdc",
        "same_clothes": "adae0c71",
        "other_tracklet": "1f024a43",
    }
    assert all(name == p.name and p.about for name, p in PROTOCOLS.items())
