"""Cases over the API: who may open them, what two who write at once are told, what is logged, and the package."""

import asyncio
import contextlib
import dataclasses
import hashlib
import io
import itertools
import json
import tempfile
import zipfile

import pytest
from fastapi.testclient import TestClient

from callers import FREE, LOOPBACK, Callers, person, search, send
from unveil.gallery.cases.verify import verify_package
from unveil.gallery.records import Filter
from unveil.server.access.tokens import new_token
from unveil.server.app import create_app

URL = "/api/v1/cases"


@pytest.fixture
def named():
    """Return a name that no other test uses."""
    numbers = itertools.count()
    return lambda: f"case {id(numbers)} {next(numbers)}"


def begin(client, name) -> int:
    made = client.post(URL, json={"name": name})
    assert made.status_code == 201, made.text
    return made.json()["id"]


def test_a_search_that_is_kept_is_answered_alike_after_a_restart(service_with, own_gallery, store, named):
    client = TestClient(create_app(service_with()), base_url=LOOPBACK)
    image, other = send(client, person(3)), send(client, person(5))
    rows = [int(n) for n in store.ids(own_gallery, Filter(persons=("p05",)))]
    asked = {
        "positives": [{"image": image, "box": {"x": 2, "y": 3, "width": 60, "height": 120}}],
        "negatives": [{"image": other}, {"item": rows[0]}], "rejected": [rows[1]],
        "where": {"cameras": ["c0", "c1"]}, "mode": "changed", "top": 7,
    }  # fmt: skip
    before = client.post(f"/api/v1/galleries/{own_gallery}/searches", json=asked).json()
    case = begin(client, named())
    kept = client.post(
        f"{URL}/{case}/queries", json={"name": "first", "gallery": own_gallery, "search": {**asked, "why": "a theft"}}
    )
    assert kept.status_code == 201, kept.text
    again = TestClient(create_app(service_with()), base_url=LOOPBACK)
    [query] = again.get(f"{URL}/{case}").json()["queries"]
    assert query["hash"] == before["query_hash"]
    assert query["images"] == [False, True] and query["negatives"] == [rows[0]] and query["rejected"] == [rows[1]]
    pieces = []
    for n in range(2):
        shown = again.get(f"{URL}/{case}/queries/{query['id']}/images/{n}")
        assert shown.headers["content-type"] == "image/png"
        pieces.append({"image": again.post("/api/v1/images", content=shown.content).json()["image"]})
    assert query["settings"] == {"where": {"cameras": ["c0", "c1"]}, "mode": "changed", "top": 7, "why": "a theft"}
    repeated = {
        **query["settings"], "positives": pieces[:1], "negatives": [*pieces[1:], {"item": rows[0]}],
        "rejected": query["rejected"],
    }  # fmt: skip
    after = again.post(f"/api/v1/galleries/{own_gallery}/searches", json=repeated).json()
    assert after["query_hash"] == before["query_hash"]
    assert [(hit["item"]["id"], hit["distance"]) for hit in after["hits"]] == [
        (hit["item"]["id"], hit["distance"]) for hit in before["hits"]
    ]
    assert again.get(f"{URL}/{case}/queries/{query['id']}/images/2").status_code == 404
    for missing in (again.get(f"{URL}/{case}/queries/{10**6}/images/0"), again.delete(f"{URL}/{case}/queries/{10**6}")):
        assert missing.status_code == 404 and missing.json()["error"] == f"case {case} has no search {10**6}"


def test_only_its_members_and_admins_see_a_case(callers, own_gallery, store, named):
    reader, operator, admin = (callers.client(role) for role in ("reader", "operator", "admin"))
    row = int(store.ids(own_gallery, Filter())[0])
    name = named()
    case = begin(operator, name)
    assert operator.post(f"{URL}/{case}/bookmarks", json={"gallery": own_gallery, "item": row}).json() == {
        "added": True
    }
    for method, path, body in (
        ("GET", "", None), ("DELETE", "", None), ("POST", "/bookmarks", {"gallery": own_gallery, "item": row}),
        ("PUT", "/texts", {"name": "x", "notes": "", "version": 1}), ("PUT", "/members", {"members": []}),
        ("POST", "/exports", None), ("DELETE", f"/bookmarks/{own_gallery}/{row}", None), ("DELETE", "/queries/1", None),
        ("PUT", f"/bookmarks/{own_gallery}/{row}", {"note": "", "version": 1}), ("GET", "/queries/1/images/0", None),
    ):  # fmt: skip
        answer = reader.request(method, f"{URL}/{case}{path}", json=body)
        assert (answer.status_code, answer.json()["error"]) == (404, f"no case {case} here"), path
    assert case not in [one["id"] for one in reader.get(URL).json()]
    assert case in [one["id"] for one in admin.get(URL).json()]
    assert operator.put(f"{URL}/{case}/members", json={"members": ["the-reader"]}).status_code == 204
    found = reader.get(f"{URL}/{case}").json()
    assert (found["name"], found["members"], found["owned"]) == (name, ["the-reader"], False)
    assert [mark["item"]["id"] for mark in found["bookmarks"]] == [row]
    for answer in (reader.put(f"{URL}/{case}/members", json={"members": []}), reader.delete(f"{URL}/{case}")):
        assert answer.status_code == 403 and "the-operator, who opened the case" in answer.json()["error"]
    assert reader.post(f"{URL}/{case}/exports?blur=false").status_code == 403
    assert operator.put(f"{URL}/{case}/members", json={"members": ["a b"]}).status_code == 422
    assert admin.delete(f"{URL}/{case}").status_code == 204
    assert operator.get(f"{URL}/{case}").status_code == 404


def test_what_is_in_galleries_that_are_not_open_to_a_member_is_hidden_from_him(
    tmp_path, service_with, fill, store, named
):
    here, there = fill(f"open{tmp_path.name[-4:]}x"), fill(f"shut{tmp_path.name[-4:]}x")
    callers = Callers(tmp_path, service_with)
    token = new_token(callers.file, "limited", role="operator", galleries=(here,))
    limited, admin = callers.client(token=token), callers.client("admin")
    case = begin(admin, named())
    rows = {name: int(store.ids(name, Filter())[0]) for name in (here, there)}
    for name, row in rows.items():
        assert admin.post(f"{URL}/{case}/bookmarks", json={"gallery": name, "item": row}).status_code == 201
    image = send(admin, person(1))
    kept = {"name": "both", "gallery": here, "others": [there], "search": {"positives": [{"image": image}]}}
    assert admin.post(f"{URL}/{case}/queries", json=kept).status_code == 201
    [both] = admin.get(f"{URL}/{case}").json()["queries"]
    admin.put(f"{URL}/{case}/members", json={"members": ["limited"]})
    found = limited.get(f"{URL}/{case}").json()
    assert [mark["gallery"] for mark in found["bookmarks"]] == [here]
    assert (found["queries"], found["hidden"]) == ([], 2)
    assert limited.post(f"{URL}/{case}/bookmarks", json={"gallery": there, "item": rows[there]}).status_code == 404
    assert limited.delete(f"{URL}/{case}/bookmarks/{there}/{rows[there]}").status_code == 404
    sent = limited.post(f"{URL}/{case}/exports").content
    with zipfile.ZipFile(io.BytesIO(sent)) as archive:
        assert there not in "".join(archive.namelist()) and there.encode() not in archive.read("case.json")
        assert b"2 searches and bookmarks in galleries that are not open" in archive.read("report.html")
        # Bookmarked, searched, and looked at by the admin.
        assert b"3 entries of the audit log on galleries that are not open" in archive.read("report.html")
        told = archive.read("audit.jsonl").decode()
        assert there not in told and both["hash"] not in told
        entries = [json.loads(json.loads(line)["text"]) for line in told.splitlines()]
    assert [(e["details"]["what"], e.get("gallery")) for e in entries] == [
        ("begin", None), ("add bookmark", here), ("open", here), ("members", None), ("open", here),
    ]  # fmt: skip
    assert [e["results"] for e in entries] == [[], [rows[here]], [rows[here]], [], [rows[here]]]
    path = tmp_path / "case.zip"
    path.write_bytes(sent)
    assert verify_package(path)[1] == []


def test_the_second_of_two_writers_gets_the_text_of_the_first(callers, own_gallery, store, named):
    operator, admin = callers.client("operator"), callers.client("admin")
    name = named()
    case = begin(operator, name)
    row = int(store.ids(own_gallery, Filter())[0])
    operator.post(f"{URL}/{case}/bookmarks", json={"gallery": own_gallery, "item": row, "note": "seen"})
    assert operator.put(f"{URL}/{case}/texts", json={"name": name, "notes": "mine", "version": 1}).json() == {
        "version": 2
    }
    late = admin.put(f"{URL}/{case}/texts", json={"name": name, "notes": "yours", "version": 1})
    assert late.status_code == 409 and late.json()["conflict"] == {"who": "the-operator", "text": "mine", "version": 2}
    assert "nothing was overwritten" in late.json()["error"]
    note = f"{URL}/{case}/bookmarks/{own_gallery}/{row}"
    assert admin.put(note, json={"note": "by admin", "version": 1}).json() == {"version": 2}
    late = operator.put(note, json={"note": "late", "version": 1})
    assert late.status_code == 409 and late.json()["conflict"]["text"] == "by admin"
    assert operator.put(note, json={"note": "both", "version": 2}).status_code == 200
    assert operator.get(f"{URL}/{case}").json()["bookmarks"][0]["note"] == "both"


def test_everything_is_entered_and_looking_again_soon_is_not(callers, own_gallery, store, named):
    operator = callers.client("operator")
    rows = [int(n) for n in store.ids(own_gallery, Filter())[:2]]
    case = begin(operator, named())
    for row in rows:
        operator.post(f"{URL}/{case}/bookmarks", json={"gallery": own_gallery, "item": row})
    for _ in range(3):
        operator.get(f"{URL}/{case}")
    operator.delete(f"{URL}/{case}/bookmarks/{own_gallery}/{rows[1]}")
    exported = operator.post(f"{URL}/{case}/exports")
    entries = [e for e in store.entries() if (e.get("details") or {}).get("case") == case]
    told = [(e["details"]["what"], e.get("gallery"), e["results"]) for e in entries]
    assert told == [
        ("begin", None, []), ("add bookmark", own_gallery, rows[:1]), ("add bookmark", own_gallery, rows[1:]),
        ("open", own_gallery, rows), ("remove bookmark", own_gallery, rows[1:]), ("export", own_gallery, rows[:1]),
    ]  # fmt: skip
    assert {(e["who"], e["role"], e["action"]) for e in entries} == {("the-operator", "operator", "case")}
    assert entries[-1]["details"]["sha256"] == hashlib.sha256(exported.content).hexdigest()


def test_a_package_of_the_server_is_sound_and_has_the_card_of_the_model(
    callers, own_gallery, store, engine, tmp_path, named
):
    operator = callers.client("operator")
    image = send(operator, person(2))
    found = search(operator, own_gallery, image, top=3, why="lost child")
    case = begin(operator, named())
    kept = {"name": "one", "gallery": own_gallery, "search": {"positives": [{"image": image}]}}
    operator.post(f"{URL}/{case}/queries", json=kept)
    operator.post(f"{URL}/{case}/bookmarks", json={"gallery": own_gallery, "item": found["hits"][0]["item"]["id"]})
    exported = operator.post(f"{URL}/{case}/exports?blur=false")
    assert exported.headers["content-type"] == "application/zip"
    path = tmp_path / "case.zip"
    path.write_bytes(exported.content)
    manifest, wrong = verify_package(path)
    assert wrong == [] and manifest.faces == "as recorded"
    with zipfile.ZipFile(path) as archive:
        card = json.loads(archive.read(f"models/{engine.fingerprint}.json"))
        entries = [json.loads(json.loads(line)["text"]) for line in archive.read("audit.jsonl").splitlines()]
    assert card["card"]["fingerprint"] == engine.fingerprint and card["space"]["names"] == list(engine.space_info.names)
    assert ("search", "lost child") in [(e["action"], e.get("why")) for e in entries]


@pytest.mark.parametrize("client", ["reads", "stalls", "leaves"])
def test_of_an_export_nothing_is_left_whatever_the_client_does(
    service_with, own_gallery, tmp_path, monkeypatch, named, client
):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    app = create_app(service_with(limits=dataclasses.replace(FREE, answer_seconds=0.05 if client == "stalls" else 60)))
    case = begin(TestClient(app, base_url=LOOPBACK), named())
    seen = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        seen.extend((path.name[:12], path.stat().st_mode & 0o777) for path in folder.glob("*.zip"))
        if message["type"] == "http.response.body" and client == "stalls":
            await asyncio.Event().wait()
        if message["type"] == "http.response.body" and client == "leaves":
            raise OSError("gone")

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": f"{URL}/{case}/exports", "raw_path": b"", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    with contextlib.suppress(OSError):
        asyncio.run(app(scope, receive, send))
    assert set(seen) == {("unveil-case-", 0o600)}
    assert list(folder.iterdir()) == []


def test_deleted_people_are_gone_from_cases_and_the_case_says_so(callers, own_gallery, store, named):
    admin = callers.client("admin")
    rows = [int(n) for n in store.ids(own_gallery, Filter(persons=("p04",)))]
    case = begin(admin, named())
    for row in rows:
        admin.post(f"{URL}/{case}/bookmarks", json={"gallery": own_gallery, "item": row})
    asked = {"name": "by row", "gallery": own_gallery, "search": {"positives": [{"item": rows[0]}]}}
    assert admin.post(f"{URL}/{case}/queries", json=asked).status_code == 201
    admin.post(f"/api/v1/galleries/{own_gallery}/deletions", json={"where": {"persons": ["p04"]}})
    found = admin.get(f"{URL}/{case}").json()
    assert found["bookmarks"] == [] and found["queries"] == []
    [removal] = found["removals"]
    assert (removal["gallery"], removal["bookmarks"], removal["queries"]) == (own_gallery, len(rows), 1)


def test_a_second_export_at_the_same_time_is_told_to_wait(service_with, own_gallery, named):
    service = service_with(limits=dataclasses.replace(FREE))
    client = TestClient(create_app(service), base_url=LOOPBACK)
    case = begin(client, named())
    with service.packing:
        busy = client.post(f"{URL}/{case}/exports")
    assert busy.status_code == 503 and "another case is being exported" in busy.json()["error"]
    assert client.post(f"{URL}/{case}/exports").status_code == 200
