"""Probable people in the real store: made, split and merged by hand, kept when grouped anew, gone with their rows."""

from __future__ import annotations

import dataclasses
import json
import threading

import numpy as np
import pytest

from command_line import refused, run
from own_postgres import new_folder, remove
from unveil.errors import DataError
from unveil.gallery.calibrate import calibrate_gallery
from unveil.gallery.group_records import GroupChangedError, GroupedRow, Grouping
from unveil.gallery.grouping.group import group_gallery
from unveil.gallery.records import EmbeddingSpace, Filter, Item
from unveil.gallery.store.opening import open_store
from unveil.records import Embedding

SPACE = EmbeddingSpace("0123456789abcdef", ("global",), 16, "cosine", (1.0,))
PEOPLE, TRACKS = 8, 4
NEAR = 0.4


def vectors(people, seed=0, spread=0.08) -> Embedding:
    """One vector for each entry of ``people``, near to others of the same person."""
    centres = np.random.default_rng(99).normal(size=(50, 1, 16))
    noise = np.random.default_rng(seed).normal(size=(len(people), 1, 16))
    rows = (centres[list(people)] + spread * noise).astype(np.float32)
    return Embedding(rows, np.ones((len(people), 1), np.float32), SPACE.names, "cosine", SPACE.weights)


def tracklet(n, person, jpeg, **more) -> Item:
    values = {"camera": f"c{n % 3}", "time": 1.7e9 + 100.0 * n, "end": 1.7e9 + 100.0 * n + 20, "person": f"p{person}"}
    return Item(f"t{n}", "tracklet", jpeg, "film.mp4", quality=0.5 + n / 1000, **{**values, **more})


@pytest.fixture
def people():
    return [n % PEOPLE for n in range(PEOPLE * TRACKS)]


@pytest.fixture
def rows(store, jpeg, people):
    """Ids of tracklets; row n shows person n % 8."""
    store.create("shop", SPACE)
    store.add("shop", [tracklet(n, p, jpeg) for n, p in enumerate(people)], embedding=vectors(people))
    return [int(number) for number in store.ids("shop", Filter())]


def groups(store, name="shop") -> dict[int, set[int]]:
    return {
        one.number: {row.item for row in store.groups.person(name, one.number)[1]}
        for one in store.groups.people(name, 500)
    }


def of(store, row) -> int:
    return next(number for number, items in groups(store).items() if row in items)


def test_tracklets_become_people_that_can_be_looked_through(store, rows):
    done = group_gallery(store, "shop", threshold=NEAR)
    assert (done.rows, done.people, done.alone) == (32, PEOPLE, 0) and not done.grouping.calibrated
    assert set(map(frozenset, groups(store).values())) == {frozenset(rows[p::PEOPLE]) for p in range(PEOPLE)}
    first = store.groups.people("shop", 1, order="time")[0]
    assert first.cameras == ("c0", "c1", "c2") and (first.rows, first.start) == (4, 1.7e9)
    assert first.end == 1.7e9 + 2_400 + 20 and first.images[0] == rows[24] and first.by_hand == 0
    listed, members = store.groups.person("shop", first.number)
    assert listed == first and all(0 < row.distance < NEAR for row in members)
    assert [row.distance for row in members] == sorted((row.distance for row in members), reverse=True)
    pages = [store.groups.people("shop", 3, offset=n)[0].number for n in range(0, PEOPLE, 3)]
    assert len(set(pages)) == 3 and store.groups.people("shop", least=5) == []


def test_a_calibrated_gallery_needs_no_threshold_and_one_that_is_not_is_refused(store, rows):
    with pytest.raises(
        DataError, match=r"calibration of gallery 'shop' is missing.*gallery calibrate shop.*--threshold"
    ):
        group_gallery(store, "shop")
    assert store.groups.state("shop") is None
    calibrate_gallery(store, "shop", modes=("same",))
    done = group_gallery(store, "shop")
    state = store.groups.state("shop")
    assert done.people == PEOPLE and done.grouping.calibrated and not state.recalibrated
    assert state.grouping.threshold == done.grouping.threshold and "Calibrated on" in state.grouping.source
    store.set_calibration("shop", None)
    assert store.groups.state("shop").recalibrated


def test_what_was_split_and_merged_by_hand_survives_a_new_grouping(store, rows):
    group_gallery(store, "shop", threshold=NEAR)
    person, other = of(store, rows[0]), of(store, rows[1])
    made = store.groups.split("shop", person, items=[rows[0], rows[8]])
    assert groups(store)[made] == {rows[0], rows[8]} and groups(store)[person] == {rows[16], rows[24]}
    assert sorted(store.groups.merge("shop", of(store, rows[3]), other=other)) == rows[1::8]
    for threshold in (NEAR, 1.9):  # far above what any two people are apart
        group_gallery(store, "shop", threshold=threshold)
        now = groups(store)
        assert of(store, rows[0]) == of(store, rows[8])
        assert not {of(store, rows[0])} & {of(store, rows[16]), of(store, rows[24])}
        assert len({of(store, row) for row in (*rows[1::8], *rows[3::8])}) == 1
        assert sum(map(len, now.values())) == 32
    group_gallery(store, "shop", threshold=NEAR)
    assert of(store, rows[2]) == of(store, rows[10])


def test_the_last_word_by_hand_counts(store, rows):
    group_gallery(store, "shop", threshold=NEAR)
    person = of(store, rows[0])
    made = store.groups.split("shop", person, items=[rows[0]])
    store.groups.merge("shop", person, other=made)
    group_gallery(store, "shop", threshold=NEAR)
    assert groups(store)[of(store, rows[0])] == set(rows[0::8])
    # Split again, where rows were joined by hand: the rest stays joined, what is taken out is apart.
    store.groups.split("shop", of(store, rows[8]), items=[rows[8]])
    group_gallery(store, "shop", threshold=1.9)
    left = {of(store, row) for row in rows[0::8] if row != rows[8]}
    assert len(left) == 1 and of(store, rows[8]) not in left


def test_numbers_stay_with_the_people(store, rows, jpeg):
    group_gallery(store, "shop", threshold=NEAR)
    before = groups(store)
    store.add("shop", [tracklet(100 + n, n, jpeg) for n in range(3)], embedding=vectors(range(3), seed=5))
    state = store.groups.state("shop")
    assert (state.people, state.rows, state.ungrouped) == (PEOPLE, 32, 3)
    group_gallery(store, "shop", threshold=NEAR)
    after = groups(store)
    assert after.keys() == before.keys() and all(before[n] <= after[n] for n in before)
    assert store.groups.state("shop").ungrouped == 0


def test_deleted_rows_leave_their_groups_and_it_is_said(store, rows):
    group_gallery(store, "shop", threshold=NEAR)
    apart = store.groups.split("shop", of(store, rows[0]), items=[rows[0]])
    store.delete("shop", Filter(ids=(rows[0], rows[1])))
    state = store.groups.state("shop")
    assert (state.rows, state.grouping.removed, state.people) == (30, 2, PEOPLE)
    assert apart not in groups(store) and store.groups.by_hand("shop").apart == frozenset()
    assert store.delete("shop", Filter(persons=("p2",))) == 4
    assert store.groups.state("shop").people == PEOPLE - 1
    group_gallery(store, "shop", threshold=NEAR)
    assert store.groups.state("shop").grouping.removed == 0
    assert store.groups.remove("shop") == 26 and store.groups.state("shop") is None
    store.drop("shop")


def test_feedback_and_who_was_seen_together_count(store, jpeg):
    store.create("shop", SPACE)
    items = [tracklet(n, 0, jpeg, camera="gate", time=1.7e9 + 10 * n, end=1.7e9 + 10 * n + 5) for n in range(3)]
    items.append(tracklet(3, 0, jpeg, camera="gate", time=1.7e9 + 2, end=1.7e9 + 4))  # beside row 0
    items += [tracklet(4, 1, jpeg), tracklet(5, 1, jpeg)]
    store.add("shop", items, embedding=vectors([0, 0, 0, 0, 1, 1]))
    rows = [int(number) for number in store.ids("shop", Filter())]
    group_gallery(store, "shop", threshold=NEAR)
    assert of(store, rows[0]) != of(store, rows[3]) and of(store, rows[4]) == of(store, rows[5])
    for row, same in ((rows[4], True), (rows[5], False), (rows[0], True), (rows[3], True)):
        store.feedback.give("shop", "a" * 16, item=row, same=same, who="ann")
    done = group_gallery(store, "shop", threshold=NEAR)
    assert of(store, rows[0]) == of(store, rows[3]) == of(store, rows[4]) != of(store, rows[5])
    assert done.known == 2


def test_tracklets_that_were_all_given_one_time_are_not_seen_together_for_that(store, jpeg):
    store.create("shop", SPACE)
    items = [tracklet(n, 0, jpeg, camera="gate", time=1.7e9, end=1.7e9) for n in range(4)]
    store.add("shop", items, embedding=vectors([0] * 4))
    group_gallery(store, "shop", threshold=NEAR)
    assert store.groups.state("shop").people == 1


def test_what_is_said_of_a_crop_is_said_of_its_tracklet(store, jpeg):
    store.create("shop", SPACE)
    items = [tracklet(n, n, jpeg) for n in range(2)]
    items += [Item(f"c{n}", "crop", jpeg, "film.mp4", "gate", 1.7e9, tracklet=f"t{n}") for n in range(2)]
    store.add("shop", items, embedding=vectors([0, 1, 0, 1]))
    rows = [int(number) for number in store.ids("shop", Filter())]
    for row in rows[2:]:
        store.feedback.give("shop", "a" * 16, item=row, same=True, who="ann")
    assert group_gallery(store, "shop", threshold=NEAR).rows == 2
    assert of(store, rows[0]) == of(store, rows[1])


def test_another_model_and_a_change_meanwhile_are_noticed(store, rows):
    group_gallery(store, "shop", threshold=NEAR)
    version = store.groups.by_hand("shop").version
    grouping = store.groups.state("shop").grouping
    store.groups.split("shop", of(store, rows[0]), items=[rows[0]])
    with pytest.raises(GroupChangedError, match="split or merged"):
        store.groups.replace("shop", grouping, groups=[[GroupedRow(rows[0])]], version=version)
    with pytest.raises(DataError, match="switched to another model"):
        other = dataclasses.replace(grouping, fingerprint="f" * 16)
        store.groups.replace("shop", other, groups=[[GroupedRow(rows[0])]], version=version + 1)
    assert sum(map(len, groups(store).values())) == 32


def test_of_two_who_split_one_group_nothing_is_half_done(store, rows):
    group_gallery(store, "shop", threshold=NEAR)
    person, refusals = of(store, rows[0]), []

    def split(items):
        try:
            store.groups.split("shop", person, items=items)
        except GroupChangedError as e:
            refusals.append(str(e))

    threads = [threading.Thread(target=split, args=(items,)) for items in ([rows[0], rows[8]], [rows[8], rows[16]])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refusals) == 1 and "look again" in refusals[0]
    assert sum(map(len, groups(store).values())) == 32


def test_what_makes_no_sense_is_refused_in_words(store, rows):
    group_gallery(store, "shop", threshold=NEAR)
    person = of(store, rows[0])
    wrong = {
        "has no person 987654": lambda: store.groups.person("shop", 987_654),
        "name some of them": lambda: store.groups.split("shop", person, items=rows[0::8]),
        "not 0": lambda: store.groups.split("shop", person, items=[]),
        "not with itself": lambda: store.groups.merge("shop", person, other=person),
        "no gallery 'yard'": lambda: store.groups.people("yard"),
        "a distance above 0": lambda: group_gallery(store, "shop", threshold=-1.0),
    }
    for words, attempt in wrong.items():
        with pytest.raises(DataError, match=words):
            attempt()
    store.create("empty", SPACE)
    with pytest.raises(DataError, match="no row to group"):
        group_gallery(store, "empty", threshold=NEAR)


def test_a_backup_has_the_groups(store, rows, tmp_path):
    group_gallery(store, "shop", threshold=NEAR)
    store.groups.split("shop", of(store, rows[0]), items=[rows[0]])
    before, said = groups(store), store.groups.by_hand("shop")
    store.backup(tmp_path / "all.backup")
    folder = new_folder()
    try:
        restored = open_store(folder=folder)
        restored.restore(tmp_path / "all.backup")
        assert groups(restored) == before and restored.groups.by_hand("shop") == said
        assert restored.groups.split("shop", of(store, rows[1]), items=[rows[1]]) > max(before)  # numbers continue
        restored.close()
    finally:
        remove(folder)


def test_the_command_groups_and_says_so(store, rows, address, monkeypatch):
    monkeypatch.setenv("UNVEIL_STORE", address)
    assert "--threshold DISTANCE groups without" in refused("gallery", "group", "shop")
    told = json.loads(run("gallery", "group", "shop", "--threshold", NEAR, "--why", "a look", "--json").stdout)
    assert (told["rows"], told["people"], told["grouping"]["calibrated"]) == (32, PEOPLE, False)
    assert "probably 8 people" in run("gallery", "group", "shop", "--threshold", NEAR).stdout
    assert "32 rows are in no group now" in run("gallery", "group", "shop", "--remove").stdout
    assert "not both" in refused("gallery", "group", "shop", "--remove", "--threshold", 1)
    entries = [e for e in store.entries("shop") if e["action"] in ("group", "remove groups")]
    assert [e["details"]["state"] for e in entries] == ["begun", "failed", *["begun", "done"] * 3]
    assert entries[3]["why"] == "a look" and entries[3]["details"]["people"] == PEOPLE
    assert isinstance(Grouping(**told["grouping"]), Grouping)
