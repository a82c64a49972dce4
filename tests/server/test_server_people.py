"""Probable people over HTTP: who may look and who may split and merge, what is entered, and what is refused."""

from __future__ import annotations

import pytest

from callers import group_people
from unveil.gallery.calibrate import calibrate_gallery
from unveil.gallery.records import Filter


@pytest.fixture
def grouped(store, own_gallery):
    group_people(store, own_gallery)
    return f"/api/v1/galleries/{own_gallery}/people"


def asked(client, path, **params):
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_people_are_listed_and_shown_to_readers(callers, grouped, store, own_gallery):
    reader = callers.client("reader")
    found = asked(reader, grouped)
    assert found["grouping"]["people"] == len(found["people"]) == 8 and not found["grouping"]["calibrated"]
    first = found["people"][0]
    assert (first["rows"], first["cameras"], len(first["images"])) == (6, ["c0", "c1", "c2"], 4)
    shown = asked(reader, f"{grouped}/{first['person']}")
    assert shown["person"] == first and len(shown["rows"]) == 6 and shown["next"] is None
    assert {row["item"]["person"] for row in shown["rows"]} == {shown["rows"][0]["item"]["person"]}
    distances = [row["distance"] for row in shown["rows"]]
    assert distances == sorted(distances, reverse=True) and shown["rows"][0]["probability"] is None
    half = asked(reader, f"{grouped}/{first['person']}", limit=4)
    rest = asked(reader, f"{grouped}/{first['person']}", offset=half["next"])
    assert half["rows"] + rest["rows"] == shown["rows"]
    page = asked(reader, grouped, limit=3, order="time")
    assert page["next"] == 3 and asked(reader, grouped, least=7)["people"] == []
    callers.app.state.service.views.close()
    views = [e for e in store.entries(own_gallery) if e["action"] == "view" and e["details"].get("people")]
    assert {row["item"]["id"] for row in shown["rows"]} <= set(views[-1]["results"])


def test_operators_split_and_merge_and_each_is_entered(callers, grouped, store, own_gallery):
    operator = callers.client("operator")
    first, second = asked(operator, grouped)["people"][:2]
    rows = [row["item"]["id"] for row in asked(operator, f"{grouped}/{first['person']}")["rows"]]
    answer = operator.post(f"{grouped}/{first['person']}/splits", json={"items": rows[:2], "why": "another coat"})
    assert answer.status_code == 201
    made = answer.json()["person"]
    assert asked(operator, f"{grouped}/{made}")["person"]["by_hand"]
    answer = operator.post(f"{grouped}/{second['person']}/merges", json={"other": made})
    assert answer.json() == {"person": second["person"]}
    assert asked(operator, f"{grouped}/{second['person']}")["person"]["rows"] == 8
    told = [e for e in store.entries(own_gallery) if e["action"] in ("split people", "merge people")]
    assert [e["details"]["state"] for e in told] == ["begun", "done"] * 2
    assert (told[1]["who"], told[1]["why"]) == ("the-operator", "another coat")
    assert told[1]["details"]["rows"] == rows[:2] and told[1]["details"]["made"] == made
    assert sorted(told[3]["details"]["rows"]) == sorted(rows[:2])


def test_readers_change_nothing_and_what_is_not_there_is_said(callers, grouped, store, own_gallery, gallery):
    reader, operator = callers.client("reader"), callers.client("operator")
    person = asked(reader, grouped)["people"][0]["person"]
    rows = [row["item"]["id"] for row in asked(reader, f"{grouped}/{person}")["rows"]]
    for path, body in (
        (f"{person}/splits", {"items": rows[:1]}),
        (f"{person}/merges", {"other": 1}),
        ("groupings", {}),
    ):
        assert reader.post(f"{grouped}/{path}", json=body).status_code == 403
    assert reader.get(f"{grouped}/999999").status_code == 404
    operator.post(f"{grouped}/{person}/splits", json={"items": rows[:1]})
    again = operator.post(f"{grouped}/{person}/splits", json={"items": rows[:1]})
    assert again.status_code == 409 and "look again" in again.json()["error"]
    assert operator.post(f"{grouped}/{person}/splits", json={"items": rows[1:]}).status_code == 422
    assert operator.post(f"{grouped}/{person}/merges", json={"other": person}).status_code == 422
    bare = asked(reader, f"/api/v1/galleries/{gallery}/people")
    assert bare == {"grouping": None, "people": [], "next": None}


def test_the_server_groups_calibrated_galleries_and_refuses_others(callers, store, own_gallery, monkeypatch):
    from unveil.server.routes import people

    operator, path = callers.client("operator"), f"/api/v1/galleries/{own_gallery}/people/groupings"
    answer = operator.post(path, json={})
    assert answer.status_code == 422 and "gallery calibrate" in answer.json()["error"]
    calibrate_gallery(store, own_gallery, modes=("same",))
    answer = operator.post(path, json={"why": "new films"})
    assert answer.status_code == 201 and answer.json()["calibrated"] and answer.json()["rows"] == 48
    first = asked(operator, f"/api/v1/galleries/{own_gallery}/people")["people"][0]["person"]
    row = asked(operator, f"/api/v1/galleries/{own_gallery}/people/{first}")["rows"][0]
    assert row["probability"] >= 0.5
    store.delete(own_gallery, Filter(ids=(row["item"]["id"],)))
    state = asked(operator, f"/api/v1/galleries/{own_gallery}/people")["grouping"]
    assert (state["removed"], state["rows"]) == (1, 47)
    monkeypatch.setattr(people, "MAX_ROWS", 10)
    answer = operator.post(path, json={})
    assert answer.status_code == 422 and f"unveil gallery group {own_gallery}" in answer.json()["error"]
