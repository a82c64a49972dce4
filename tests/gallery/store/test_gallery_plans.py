"""Floor plans in the real store: what is kept, what two do at once, what is refused, what goes with the gallery."""

from __future__ import annotations

import pytest
from stored import SPACE, crops, embedding

from own_postgres import new_folder, remove
from unveil.errors import DataError
from unveil.gallery.plan_records import MAX_IMAGE_BYTES, FloorPlan, PlanScale
from unveil.gallery.records import Filter
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.postgresql.desk.plan_tables import PlanChangedError

SCALE = PlanScale((0.0, 0.0), (30.0, 40.0), 25.0)  # half a metre a pixel
PLACES = {"c0": (10.0, 20.0), "c1": (10.0, 120.0)}


@pytest.fixture
def shop(store):
    store.create("shop", SPACE)
    store.add("shop", crops(range(6)), embedding=embedding(6))
    return "shop"


def test_a_plan_is_there_again_in_another_process(store, address, shop):
    assert store.plans.get(shop) is None and store.plans.image(shop) is None
    made = store.plans.put(shop, b"\xff\xd8 a plan", width=200, height=150, who="ann")
    assert (made.width, made.height, made.cameras, made.scale, made.version) == (200, 150, {}, None, 1)
    written = store.plans.write(shop, cameras=PLACES, scale=SCALE, version=1, who="bob")
    other = open_store(address)
    try:
        assert other.plans.get(shop) == written and other.plans.image(shop) == b"\xff\xd8 a plan"
    finally:
        other.close()
    assert written.distances == {frozenset(("c0", "c1")): pytest.approx(50.0)}
    again = store.plans.put(shop, b"\xff\xd8 another", width=50, height=50, who="ann")
    assert (again.cameras, again.scale, again.version) == ({}, None, 3)


def test_of_two_who_change_a_plan_the_second_is_told(store, shop):
    store.plans.put(shop, b"\xff\xd8", width=200, height=150, who="ann")
    store.plans.write(shop, cameras=PLACES, scale=None, version=1, who="ann")
    with pytest.raises(PlanChangedError, match="ann changed the plan meanwhile"):
        store.plans.write(shop, cameras={}, scale=None, version=1, who="bob")
    assert store.plans.get(shop).cameras == PLACES and store.plans.get(shop).distances == {}


def test_a_camera_stays_on_the_plan_when_its_rows_are_gone(store, shop):
    store.plans.put(shop, b"\xff\xd8", width=200, height=150, who="ann")
    store.plans.write(shop, cameras=PLACES, scale=None, version=1, who="ann")
    store.delete(shop, Filter(cameras=("c1",)))
    assert store.plans.write(shop, cameras=PLACES, scale=SCALE, version=2, who="ann").cameras == PLACES


def test_what_makes_no_plan_is_refused_in_words(store, shop):
    store.create("yard", SPACE)
    store.plans.put(shop, b"\xff\xd8", width=200, height=150, who="ann")
    wrong = {
        "has no plan: send an image": lambda: store.plans.write("yard", cameras={}, scale=None, version=1, who="a"),
        "no camera 'c9'": lambda: store.plans.write(shop, cameras={"c9": (1, 1)}, scale=None, version=1, who="a"),
        "stands outside": lambda: store.plans.write(shop, cameras={"c0": (201, 1)}, scale=None, version=1, who="a"),
        "first point stands outside": lambda: FloorPlan(9, 9, scale=PlanScale((10, 1), (1, 1), 2)),
        "two points of the scale are one": lambda: PlanScale((1, 1), (1.5, 1), 2),
        "more than 0": lambda: PlanScale((1, 1), (9, 9), 0),
        "at most 500 cameras": lambda: FloorPlan(9, 9, {f"c{n}": (1, 1) for n in range(501)}),
        "1 to 8,000,000 bytes": lambda: store.plans.put(shop, bytes(MAX_IMAGE_BYTES + 1), width=1, height=1, who="a"),
        "no gallery 'attic'": lambda: store.plans.get("attic"),
    }
    for words, attempt in wrong.items():
        with pytest.raises(DataError, match=words):
            attempt()


def test_a_plan_goes_with_its_gallery_and_into_backups(store, shop, tmp_path):
    store.plans.put(shop, b"\xff\xd8 plan", width=200, height=150, who="ann")
    before = store.plans.write(shop, cameras=PLACES, scale=SCALE, version=1, who="ann")
    store.backup(tmp_path / "all.backup")
    folder = new_folder()
    try:
        restored = open_store(folder=folder)
        restored.restore(tmp_path / "all.backup")
        assert restored.plans.get(shop) == before and restored.plans.image(shop) == b"\xff\xd8 plan"
        restored.close()
    finally:
        remove(folder)
    assert store.plans.remove(shop) and not store.plans.remove(shop)
    store.plans.put(shop, b"\xff\xd8 plan", width=200, height=150, who="ann")
    store.drop(shop)
    store.create(shop, SPACE)
    assert store.plans.get(shop) is None
