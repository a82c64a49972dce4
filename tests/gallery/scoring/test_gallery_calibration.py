from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import SPACE, crops, embedding

from unveil.errors import DataError
from unveil.evaluation.distances import distance_matrix
from unveil.gallery.calibrate import calibrate_gallery, feedback_pairs, labelled_pairs, listed_pairs
from unveil.gallery.records import Filter
from unveil.gallery.scoring import calibration, fitting
from unveil.gallery.scoring.fitting import CalibrationRefusedError, Pairs, calibrate
from unveil.gallery.search.records import Query
from unveil.gallery.search.searcher import Searcher

pytest.importorskip("scipy", reason="scipy is not installed (extra gallery)")


def draw(n=4000, seed=0, persons=100):
    """Pairs whose probability is known: a logistic curve of the distance."""
    rng = np.random.default_rng(seed)
    distances = rng.uniform(0, 2, n)
    truth = 1 / (1 + np.exp(6 * (distances - 0.8)))
    return Pairs(distances, rng.random(n) < truth, rng.integers(0, persons, n)), truth


@pytest.mark.parametrize("kind", ["isotonic", "logistic"])
def test_probabilities_are_the_true_ones(kind):
    pairs, truth = draw()
    fitted = calibrate(pairs, kind)
    found = np.array([fitted.probability(d) for d in pairs.distances[:500]])
    assert np.abs(found - truth[:500]).mean() < 0.03
    assert fitted.check.error < 0.04
    noise = float((truth * (1 - truth)).mean())
    assert noise - 0.01 < fitted.check.brier < noise + 0.01
    assert fitted.check.brier < 0.6 * fitted.check.constant


def test_isotonic_is_the_mean_of_each_pool():
    """By hand: the second and third level violate the order and are pooled."""
    distances = np.repeat([0.1, 0.2, 0.3, 0.4], 25)
    same = np.concatenate([np.arange(25) < k for k in (24, 10, 14, 2)])
    fitted = calibrate(Pairs(distances, same, np.arange(100) % 10), "isotonic")
    got = [fitted.probability(d) for d in (0.1, 0.2, 0.3, 0.4)]
    np.testing.assert_allclose(got, [24 / 25, 24 / 50, 24 / 50, 2 / 25])
    assert fitted.probability(0.05) == got[0]
    assert fitted.probability(9) == got[-1]


@given(st.integers(0, 1000), st.sampled_from(["isotonic", "logistic"]))
@settings(max_examples=15, deadline=None)
def test_a_farther_row_is_never_more_probable_and_nothing_is_certain(seed, kind):
    rng = np.random.default_rng(seed)
    same = rng.random(1000) < 0.4
    distances = np.where(same, rng.normal(0.5, 0.3, 1000), rng.normal(0.9, 0.3, 1000)).round(2)
    fitted = calibrate(Pairs(distances, same, rng.integers(0, 100, 1000)), kind)
    found = [fitted.probability(d) for d in np.linspace(-1, 3, 101)]
    assert (np.diff(found) <= 1e-12).all()
    assert min(found) > 0 and max(found) < 1


def test_even_pairs_that_separate_perfectly_and_a_model_that_is_wrong_way_round_are_fitted():
    distances, same = np.arange(100) / 100, np.arange(100) < 50
    for kind in ("isotonic", "logistic"):
        fitted = calibrate(Pairs(distances, same, np.arange(100)), kind)
        assert fitted.probability(0.1) > 0.9 > 0.1 > fitted.probability(0.9)
        with pytest.raises(CalibrationRefusedError, match="always answering 50%"):
            calibrate(Pairs(distances, ~same, np.arange(100)), kind)


def test_distances_that_tell_nothing_are_refused():
    """Of 40 draws of pairs without any connection at most a few get through by chance, whatever the share of same."""
    through = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        pairs = Pairs(rng.uniform(0, 2, 300), rng.random(300) < 0.1 + 0.02 * seed, rng.integers(0, 30, 300))
        try:
            calibrate(pairs)
            through += 1
        except CalibrationRefusedError as e:
            assert "Brier score" in str(e) and "300" in str(e)
    assert through <= 4
    weak = draw(3000, 1)[0]
    assert (
        calibrate(replace(weak, distances=weak.distances + np.random.default_rng(0).normal(0, 1.5, 3000))).pairs == 3000
    )


def test_a_match_is_at_least_as_likely_as_not_and_one_image_twice_is_as_good_as_certain():
    pairs, _ = draw()
    for kind in ("isotonic", "logistic"):
        # Nobody else is ever near: the rate of false alarms alone would let the farthest distance through.
        fitted = calibrate(replace(pairs, impostors=np.full(50, 5.0)), kind)
        assert fitted.probability(fitted.threshold) >= 0.5 - 1e-9
        assert fitted.probability(fitted.threshold + 0.05) < 0.55
    rare = replace(pairs, same=pairs.same & (np.arange(4000) % 40 == 0))
    fitted = calibrate(replace(rare, distances=rare.distances + 0.2), "logistic")
    assert fitted.probability(0.2) < 0.2
    assert fitted.threshold == fitted.identical < 0.01, "nothing but the image itself is a match"
    assert fitted.probability(0.0) == fitted.probability(1e-5) > 0.999
    assert fitted.threshold >= 0.0


def test_reliability_is_monotone_or_said_not_to_be():
    pairs, _ = draw()
    fitted = calibrate(pairs, "logistic")
    assert sum(b.pairs for b in fitted.check.reliability) == 4000
    assert fitted.check.drop is None and "not monotone" not in fitted.about()
    near = pairs.distances < 0.15
    bent = replace(pairs, same=np.where(near, np.arange(4000) % 2 == 0, pairs.same))
    fitted = calibrate(bent, "logistic")
    low, high = fitted.check.drop
    assert low.promised < high.promised and low.true > high.true
    assert f"of pairs promised {high.promised:.0%} {high.true:.0%}" in fitted.about()


def test_the_threshold_keeps_its_promise():
    pairs, _ = draw()
    rng = np.random.default_rng(1)
    impostors = rng.uniform(0.3, 1, 400)
    for rate in (0.01, 0.05, 0.3):
        fitted = calibrate(replace(pairs, impostors=impostors), "logistic", false_alarms=rate)
        let_through = (impostors <= fitted.threshold).mean()
        assert rate - 0.01 < let_through <= rate
        assert fitted.of == "searches"
    fitted = calibrate(pairs, "logistic", false_alarms=0.1)
    assert (pairs.distances[~pairs.same] <= fitted.threshold).mean() == pytest.approx(0.1, abs=0.01)
    assert fitted.of == "pairs"


def test_the_check_is_on_people_held_out():
    """Distances that tell who is asked and nothing else: within a person perfect, on others worthless."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    same = np.repeat(rng.random(40) < 0.5, 10)
    held_out, mixed = (
        fitting._held_out("isotonic", groups * 1.0, same=same, folds=fitting._folds(apart, 0))
        for apart in (groups, np.arange(400))
    )
    assert ((held_out - same) ** 2).mean() > ((mixed - same) ** 2).mean()
    with pytest.raises(CalibrationRefusedError):
        calibrate(Pairs(groups * 1.0, same, groups), "isotonic")


def test_risk_falls_with_coverage_and_ends_at_the_error_of_all():
    pairs, _ = draw()
    fitted = calibrate(pairs)
    coverage, risk = zip(*fitted.check.curve, strict=True)
    assert coverage[-1] == 1 and list(coverage) == sorted(coverage)
    assert risk[4] < 0.5 * risk[-1]


def test_too_few_pairs_or_one_kind_are_refused():
    pairs, _ = draw(30)
    with pytest.raises(DataError, match="at least 40 labelled pairs"):
        calibrate(pairs)
    pairs, _ = draw(200)
    with pytest.raises(DataError, match="10 of two"):
        calibrate(replace(pairs, same=np.ones(200, bool)))
    with pytest.raises(DataError, match="between 0 and 1"):
        calibrate(pairs, false_alarms=0)
    with pytest.raises(DataError, match="not finite"):
        calibrate(replace(pairs, distances=np.full(200, np.nan)))


PERSONS, EACH = 12, 6


@pytest.fixture
def labelled(store):
    """Rows of 12 people around a centre each, from 3 cameras."""
    rng = np.random.default_rng(0)
    centres = embedding(PERSONS, 1).vectors
    n = PERSONS * EACH
    rows = embedding(n, 2)
    who = np.arange(n) // EACH
    rows.vectors[:] = centres[who] + 0.8 * rng.normal(size=rows.vectors.shape)
    rows.visibility[:] = np.maximum(rows.visibility, 0.1)
    items = [replace(item, person=f"p{who[i]}") for i, item in enumerate(crops(range(n)))]
    store.create("g", SPACE)
    store.add("g", items, embedding=rows)
    return store


def test_labels_make_the_pairs_that_searches_show(labelled):
    pairs = labelled_pairs(labelled, "g")
    ids, gallery = labelled.embeddings("g", labelled.ids("g", Filter()).tolist())
    matrix = distance_matrix(gallery, gallery)
    who, camera = np.arange(len(ids)) // EACH, np.arange(len(ids)) % 3
    assert len(pairs.impostors) == len(ids)
    for row in (0, 17, 50):
        junk = (who == who[row]) & (camera == camera[row])
        left = np.flatnonzero(~junk)
        nearest = left[np.argsort(matrix[row, left], kind="stable")[:30]]
        start = 30 * row
        np.testing.assert_allclose(pairs.distances[start : start + 30], matrix[row, nearest], rtol=1e-5)
        np.testing.assert_array_equal(pairs.same[start : start + 30], who[nearest] == who[row])
        assert pairs.impostors[row] == pytest.approx(matrix[row, who != who[row]].min(), rel=1e-5)


def test_a_calibrated_gallery_answers_with_probabilities_and_no_match(labelled):
    fitted = calibrate_gallery(labelled, "g", false_alarms=0.1)
    searcher = Searcher(labelled, "g")
    first = int(labelled.ids("g", Filter())[0])
    found = searcher.search(searcher.query_of([first], rows="crop"))
    assert (found.calibrated, found.match) == (True, True)
    assert found.threshold == fitted["same"].threshold
    probabilities = [hit.probability for hit in found.hits]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[0] == fitted["same"].probability(found.hits[0].distance)
    assert any("Calibrated on" in note for note in found.notes)
    stranger = searcher.search(Query(embedding(1, 99), SPACE.fingerprint, rows="crop"))
    assert stranger.match is (stranger.hits[0].distance <= found.threshold)
    strangers = [searcher.search(Query(embedding(1, 100 + n), SPACE.fingerprint, rows="crop")) for n in range(30)]
    refused = [found for found in strangers if not found.match]
    assert len(refused) >= 15
    assert any("No match" in note for note in refused[0].notes)


def test_a_calibration_is_bound_to_model_and_mode(labelled):
    calibrate_gallery(labelled, "g", modes=("same",))
    info = labelled.info("g")
    assert calibration.of(info, "same").pairs == 30 * PERSONS * EACH
    assert calibration.of(info, "changed") is None
    calibrate_gallery(labelled, "g", modes=("changed",))
    assert calibration.of(labelled.info("g"), "same") is not None
    other = replace(info, space=replace(SPACE, fingerprint="f" * 16))
    assert calibration.of(other, "same") is None
    with pytest.raises(DataError, match="newer unveil"):
        calibration.of(replace(info, calibration={**info.calibration, "format": 99}), "same")
    damaged = {**info.calibration, "modes": {"same": {"kind": "isotonic"}}}
    with pytest.raises(DataError, match="damaged"):
        calibration.of(replace(info, calibration=damaged), "same")


def test_feedback_implies_pairs(labelled):
    ids = labelled.ids("g", Filter()).tolist()
    with pytest.raises(DataError, match="no feedback to calibrate on"):
        feedback_pairs(labelled, "g")
    for query, said in {
        "q1": {0: True, 1: True, 2: True, 8: False},
        "q2": {9: True, 30: False},
        "q3": {5: False},
    }.items():
        for row, same in said.items():
            labelled.feedback.give("g", query, item=ids[row], same=same, who="ann")
    pairs = feedback_pairs(labelled, "g")
    assert sorted(zip(pairs.groups.tolist(), pairs.same.tolist(), strict=True)) == [
        *[("q1", False)] * 3, *[("q1", True)] * 3, ("q2", False),
    ]  # fmt: skip
    _, gallery = labelled.embeddings("g", ids)
    expected = distance_matrix(gallery, gallery)[9, 30]
    np.testing.assert_allclose(pairs.distances[pairs.groups == "q2"], [expected], rtol=1e-5)
    with pytest.raises(DataError, match="at least 40"):
        calibrate_gallery(labelled, "g", source="feedback")


def test_feedback_alone_calibrates_because_a_row_with_feedback_pairs_with_its_query(labelled):
    """One word for each search: no two rows with feedback are of one query."""
    searcher = Searcher(labelled, "g")
    ids = labelled.ids("g", Filter()).tolist()
    who = {row: n // EACH for n, row in enumerate(ids)}
    expected = []
    for n, row in enumerate(ids[:44]):
        asked = searcher.query_of([row], rows="crop", top=len(ids))
        hit = next(h for h in searcher.search(asked).hits if (who[h.item.id] == who[row]) is bool(n % 2))
        searcher.give_feedback(asked, hit.item.id, same=bool(n % 2), who="ann")
        expected.append(hit.distance)
    pairs = feedback_pairs(labelled, "g")
    assert pairs.same.tolist() == [bool(n % 2) for n in range(44)] and len(set(pairs.groups.tolist())) == 44
    np.testing.assert_allclose(pairs.distances, expected, rtol=1e-5)
    changed = {h.item.id: h.distance for h in searcher.search(replace(asked, mode="changed")).hits}
    assert feedback_pairs(labelled, "g", mode="changed").distances[-1] == pytest.approx(changed[hit.item.id], rel=1e-5)
    fitted = calibrate_gallery(labelled, "g", source="feedback")
    assert fitted["same"].pairs == fitted["changed"].pairs == 44
    near, far = (fitted["same"].probability(d) for d in np.quantile(pairs.distances, (0.05, 0.95)))
    assert near > 0.5 > far
    assert searcher.search(searcher.query_of(ids[:1], rows="crop")).calibrated


def test_a_later_word_replaces_the_distance_too_and_what_was_said_before_has_none(labelled):
    row = int(labelled.ids("g", Filter())[0])
    labelled.feedback.give("g", "q", item=row, same=True, who="ann", distances={"same": 0.25, "changed": 0.5})
    assert labelled.feedback.distances("g", "same") == [("q", True, 0.25)]
    assert labelled.feedback.distances("g", "changed") == [("q", True, 0.5)]
    labelled.feedback.give("g", "q", item=row, same=False, who="bob", distances={"same": 0.75})
    assert labelled.feedback.distances("g", "same") == [("q", False, 0.75)]
    assert labelled.feedback.distances("g", "changed") == []
    labelled.delete("g", Filter(ids=(row,)))
    assert labelled.feedback.distances("g", "same") == []


def test_a_list_of_pairs_names_rows_by_number_or_source(labelled, tmp_path):
    labelled.add("g", [replace(crops([900])[0], source="/here/x.jpg")], embedding=embedding(1, 5))
    ids = labelled.ids("g", Filter()).tolist()
    path = tmp_path / "pairs.csv"
    path.write_text(f"a,b,same,mode\n{ids[0]},{ids[1]},1,\n{ids[0]},/here/x.jpg,no,changed\n{ids[3]},{ids[4]},0,same\n")
    _, gallery = labelled.embeddings("g", ids)
    matrix = distance_matrix(gallery, gallery)
    pairs = listed_pairs(labelled, "g", path=path)
    np.testing.assert_allclose(pairs.distances, [matrix[0, 1], matrix[3, 4]], rtol=1e-5)
    assert pairs.same.tolist() == [True, False]
    np.testing.assert_allclose(
        listed_pairs(labelled, "g", path=path, mode="changed").distances, [matrix[0, 1], matrix[0, -1]], rtol=1e-5
    )
    for text, message in (
        ("a,b\n1,2\n", "expected columns a, b and same"),
        (f"a,b,same\n{ids[0]},999999,1\n", r"line 2: no row is or comes from '999999'"),
        (f"a,b,same\n{ids[0]},{ids[1]},maybe\n", r"line 2: same must be 1 or 0"),
        (f"a,b,same,mode\n{ids[0]},{ids[1]},1,naked\n", r"line 2: mode must be"),
        (f"a,b,same,mode\n{ids[0]},{ids[1]},1,changed\n", "no pair is for mode 'same'"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            listed_pairs(labelled, "g", path=path)
    with pytest.raises(DataError, match="cannot be read as CSV"):
        listed_pairs(labelled, "g", path=tmp_path / "none.csv")


def test_a_gallery_without_labels_says_what_to_do(store):
    store.create("g", SPACE)
    store.add("g", crops(range(9)), embedding=embedding(9))
    with pytest.raises(DataError, match="column 'person'"):
        calibrate_gallery(store, "g")
    with pytest.raises(DataError, match="no feedback to calibrate on"):
        calibrate_gallery(store, "g", source="feedback")
