"""What a machine can think of: every route of the description, in every role, with values that fit it and that do not.

What an answer names (images, searches, rows) goes into the next requests, so that they meet things that are there,
that another caller has, and that a request before has removed. UNVEIL_FUZZ sets how many requests a route gets.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from callers import Callers, encoded, group_people, person, rendered_person, search, send
from damage import ROUNDS, TRIED, damaged
from unveil.server.settings import Limits

schemathesis = pytest.importorskip("schemathesis", reason="the extra test is not installed")

EXAMPLES = max(ROUNDS // 3, 5)
ROLES = ("reader", "operator", "admin", None)
FREE = Limits(rate=0, refused=10_000_000)  # what refuses too many requests is tested by itself
KINDS = ("image", "search", "item", "case", "query", "upload", "job", "clip", "person")
LISTED = {"items": "item", "cases": "case", "ingests": "job"}  # what "id" names in the answers of a route
KEPT = 20  # of each kind
BASE = "/api/v1/galleries/{gallery}"
BEYOND = {  # what needs a film, an alert, bytes that fit or a version that others left: tests of their own have these
    ("delete", "/api/v1/users/{user}"),
    ("get", "/alerts/{alert}/image"),
    ("get", "/clips/{clip}"),
    ("get", "/items/{item}/frame"),
    ("post", "/items/{item}/clips"),
    ("post", "/uploads/{upload}"),
    ("put", "/ingests/{job}"),
    ("put", "/plan"),
}
ORDER = ("post", "get", "put", "delete")
PIECE = [{"image": ""}]
SOUND: dict[str, Any] = {  # bodies that fit, with names to be filled in; parts give way to what a machine thinks of
    "searches": {"positives": PIECE, "top": 3, "skip_person_check": True},
    "feedback": {"item": 0, "same": True},
    "listings": {"where": {"attributes": ["bag=yes"]}},
    "deletions": {"where": {"ids": [1]}},
    "clips": {"before": 1, "after": 1},
    "cases": {"name": "gate"},
    "texts": {"name": "north gate", "notes": "seen twice", "version": 1},
    "members": {"members": ["the-reader"]},
    "bookmarks": {"gallery": "", "item": 0},
    "{item}": {"note": "left", "version": 1},
    "queries": {"name": "red coat", "gallery": "", "search": {"positives": PIECE, "skip_person_check": True}},
    "exports": {},
    "ingests": {"source": "crop.png"},
    "{job}": {"action": "pause"},
    "uploads": {"name": "gate.png", "bytes": 9},
    "users": {"name": "new", "role": "reader"},
    "groupings": {"threshold": 0.25},
    "splits": {"items": [1]},
    "merges": {"other": 1},
    "plan": {"cameras": [], "version": 1},  # a deletion may have taken all rows, and so all cameras
}


class Known:
    """Names that answers gave, the newest of each kind."""

    def __init__(self, **first: Any) -> None:
        self._names: dict[str, list[Any]] = {kind: [name] for kind, name in first.items()}

    def learn(self, found: Any, path: str = "") -> None:
        """Take the names out of an answer of a route."""
        if isinstance(found, dict):
            for key, value in found.items():
                kind = LISTED.get(path.rpartition("/")[2], "item") if key == "id" else key
                if kind in KINDS and isinstance(value, str | int):
                    self._names[kind] = [*self._names.get(kind, []), value][-KEPT:]
                self.learn(value)
        elif isinstance(found, list):
            for value in found[:KEPT]:
                self.learn(value, path)

    def put(self, found: Any, turn: int) -> Any:
        """Return a body or parameters with such names in the places for them."""
        if isinstance(found, dict):
            return {
                key: self.put(value, turn)
                if key not in self._names or isinstance(value, dict)
                else self._names[key][turn % len(self._names[key])]
                for key, value in found.items()
            }
        return [self.put(value, turn) for value in found] if isinstance(found, list) else found


@pytest.fixture
def described(callers: Callers, own_gallery: str, store):
    """The description of the server, and what there is to name."""
    known = {}
    group_people(store, own_gallery)
    people = store.groups.people(own_gallery)
    store.plans.put(own_gallery, encoded(person(0), "JPEG"), width=64, height=128, who="ann")
    for role in ROLES[:3]:  # what one has sent and asked, others have not
        client = callers.client(role)
        image = send(client, person(0))
        found = search(client, own_gallery, image, top=3)
        item = found["hits"][0]["item"]["id"]
        names = {"gallery": own_gallery, "image": image, "search": found["search"], "item": item}
        names["case"] = client.post("/api/v1/cases", json={"name": f"of the {role}"}).json()["id"]
        query = {"name": "first", "gallery": own_gallery, "search": {"positives": [{"image": image}]}}
        names["query"] = client.post(f"/api/v1/cases/{names['case']}/queries", json=query).json()["query"]
        names["number"] = 0
        split, other, *people = people  # for the operator and the admin, who may split and merge them
        names |= {"person": split.number, "items": list(split.images[:1]), "other": other.number}
        if role != "reader":
            url = f"/api/v1/galleries/{own_gallery}"
            names["upload"] = client.post(f"{url}/uploads", json=SOUND["uploads"]).json()["upload"]
            names["job"] = client.post(f"{url}/ingests", json=SOUND["ingests"]).json()["id"]
        known[role] = Known(**names)
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", callers.app, headers={"Host": "unveil.example"})
    return schema, known


@pytest.fixture
def callers(tmp_path, service_with, gallery) -> Callers:
    folder = tmp_path / "films"
    (folder / "sent").mkdir(parents=True)
    (folder / "crop.png").write_bytes(encoded(person(3)))
    return Callers(tmp_path, service_with, limits=FREE, ingest=(folder,), uploads=folder / "sent")


def test_no_request_makes_the_server_fail(callers, described):
    schema, known = described
    # What makes things goes first, and what removes them last, so that all others meet them.
    operations = sorted(
        (found.ok() for found in schema.get_all_operations()), key=lambda o: (ORDER.index(o.method), -len(o.path))
    )
    assert len(operations) >= 45
    codes, turns, reached = set(), itertools.count(), set()
    for operation in operations:

        @settings(
            max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(operation.as_strategy())
        def fuzz(case):
            # In turn, not drawn: every role comes with everything from made-up names to a body that fits.
            turn = next(turns)
            role, real = ROLES[turn % len(ROLES)], turn // len(ROLES) % 6
            mine = known[role or "reader"]
            if real:
                case.path_parameters = mine.put(case.path_parameters or {}, turn)
            if real > 1:
                sound = SOUND.get(case.path.rpartition("/")[2]) if isinstance(case.body, dict) else None
                thought_of = dict(list(case.body.items())[: 5 - real]) if sound is not None else {}
                case.body = mine.put({**sound, **thought_of} if sound is not None else case.body, turn)
                case.query = {} if real > 4 else case.query
            headers = {"Host": "unveil.example"}
            if role:
                headers["Authorization"] = f"Bearer {callers.tokens[role]}"
            TRIED["requests"] += 1
            answer = case.call(headers=headers)
            codes.add(answer.status_code)
            if answer.status_code < 300:
                reached.add((case.method, case.path))
            assert answer.status_code < 500, (case.method, case.path, role, answer.text)
            assert role or answer.status_code in (401, 403, 404, 405, 413, 422) or not case.path.startswith("/api/v1")
            if answer.status_code < 300 and "json" in answer.headers.get("content-type", ""):
                mine.learn(answer.json(), case.path)

        fuzz()
    assert {200, 201, 401, 403, 404, 410, 422} <= codes, codes
    missed = {(o.method, o.path.removeprefix(BASE)) for o in operations if (o.method.upper(), o.path) not in reached}
    assert len(operations) - len(missed) >= 30
    assert EXAMPLES < 60 or missed <= BEYOND, missed - BEYOND


def test_no_damaged_body_makes_the_server_fail(callers, described):
    """Images and searches cut, overwritten and added to at random."""
    _, known = described
    admin, known = callers.client("admin"), known["admin"]
    rng, gallery = np.random.default_rng(7), known.put({"gallery": ""}, 0)["gallery"]
    body = {
        "positives": [known.put({"image": ""}, 0)],
        "top": 3,
        "where": {"cameras": ["c0"]},
        "skip_person_check": True,
    }
    routes = {
        "/api/v1/images": encoded(rendered_person(), "JPEG"),
        f"/api/v1/galleries/{gallery}/items": encoded(person(3)),
        f"/api/v1/galleries/{gallery}/plan": encoded(person(4)),
        f"/api/v1/galleries/{gallery}/searches": json.dumps(body).encode(),
    }
    codes = set()
    for path, sound in routes.items():
        for _ in range(ROUNDS):
            TRIED["requests"] += 1
            kind = {} if "searches" not in path else {"content-type": "application/json"}
            answer = admin.post(path, content=damaged(sound, rng), headers=kind)
            codes.add(answer.status_code)
            assert answer.status_code < 500, (path, answer.text)
            assert "Traceback" not in answer.text
    assert 422 in codes and codes & {200, 201}
