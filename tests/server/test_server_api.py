import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from callers import CAMERAS, LOOPBACK, PEOPLE, SHOTS, encoded, frame, person, search, send
from unveil.server.app import create_app
from unveil.server.routes.names import ERRORS


def last_entry(store, action):
    return [entry for entry in store.entries() if entry["action"] == action][-1]


def test_galleries_are_listed_with_what_a_client_must_know(client, gallery, engine):
    info = next(g for g in client.get("/api/v1/galleries").json() if g["name"] == gallery)
    assert (info["crops"], info["tracklets"]) == (PEOPLE * CAMERAS * SHOTS, 0)
    assert info["cameras"] == ["c0", "c1", "c2"]
    assert info["searchable"] is True and info["calibrated"] is False
    assert info["parts"] == list(engine.space_info.names)
    assert client.get(f"/api/v1/galleries/{gallery}").json() == info
    missing = client.get("/api/v1/galleries/nowhere")
    assert missing.status_code == 404 and "nowhere" in missing.json()["error"]


def test_a_server_shows_only_the_galleries_it_was_told_to(service_with, gallery, own_gallery):
    client = TestClient(create_app(service_with(galleries=(gallery,))), base_url=LOOPBACK)
    assert [g["name"] for g in client.get("/api/v1/galleries").json()] == [gallery]
    assert client.get(f"/api/v1/galleries/{own_gallery}").status_code == 404
    asked = client.post(f"/api/v1/galleries/{own_gallery}/searches", json={"positives": [{"item": 1}]})
    assert asked.status_code == 404


def test_rows_are_listed_by_page_and_filter(client, gallery):
    url = f"/api/v1/galleries/{gallery}/items"
    seen, after = [], 0
    while after is not None:
        page = client.get(url, params={"limit": 20, "after": after}).json()
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
    assert len(seen) == len(set(seen)) == PEOPLE * CAMERAS * SHOTS and seen == sorted(seen)
    rainy = client.get(url, params={"tag": ["entrance", "rain"]}).json()["items"]
    assert {item["camera"] for item in rainy} == {"c0"} and len(rainy) == PEOPLE * SHOTS
    one = client.get(f"{url}/{seen[3]}").json()
    assert one["id"] == seen[3] and one["tags"] and one["source"].endswith(".mp4")
    backwards = client.get(url, params={"start": 2, "end": 1})
    assert backwards.status_code == 422 and "starts after it ends" in backwards.text


def test_a_thumbnail_is_the_image_of_the_row(client, gallery, store):
    number = client.get(f"/api/v1/galleries/{gallery}/items").json()["items"][0]["id"]
    answer = client.get(f"/api/v1/galleries/{gallery}/items/{number}/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content == store.items(gallery, [number])[0].thumbnail
    assert client.get(f"/api/v1/galleries/{gallery}/items/999999999/thumbnail").status_code == 404


def test_people_on_an_image_are_offered_inside_of_it(client):
    wide, _ = frame(1)
    answer = client.get(f"/api/v1/images/{send(client, wide)}/people")
    assert answer.status_code == 200
    for box in answer.json()["people"]:
        assert 0 <= box["x"] < box["x"] + box["width"] <= 400
        assert 0 <= box["y"] < box["y"] + box["height"] <= 240


def test_a_heat_map_is_a_layer_over_the_thumbnail(client, gallery):
    found = search(client, gallery, send(client, person(6)), top=2)
    item = found["hits"][0]["item"]["id"]
    url = f"/api/v1/galleries/{gallery}/searches/{found['search']}/hits"
    answer = client.get(f"{url}/{item}/heat")
    assert answer.status_code == 200, answer.text
    layer = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert layer.shape == (128, 64, 4)
    assert layer[..., 3].max() > 100 > layer[..., 3].min()
    assert client.get(f"{url}/999999999/heat").status_code == 404


def test_feedback_is_kept_with_the_query(client, own_gallery, store):
    found = search(client, own_gallery, send(client, person(1)), top=3)
    url = f"/api/v1/galleries/{own_gallery}/searches/{found['search']}/feedback"
    rows = [hit["item"]["id"] for hit in found["hits"]]
    assert client.post(url, json={"item": rows[0], "same": True}).status_code == 204
    assert client.post(url, json={"item": rows[2], "same": False}).status_code == 204
    assert store.feedback.all(own_gallery) == [
        (found["query_hash"], rows[0], True),
        (found["query_hash"], rows[2], False),
    ]
    kept = [(found["query_hash"], row == 0, pytest.approx(found["hits"][row]["distance"], rel=1e-5)) for row in (0, 2)]
    assert store.feedback.distances(own_gallery, "same") == kept
    entry = last_entry(store, "feedback")
    assert (entry["gallery"], entry["results"], entry["who"]) == (own_gallery, [rows[2]], "local")
    assert client.post(url, json={"item": 999999999, "same": True}).status_code == 404


def test_reports_hold_the_results_in_every_format(client, gallery, store):
    found = search(client, gallery, send(client, person(5)), top=4)
    url = f"/api/v1/galleries/{gallery}/searches/{found['search']}/report"
    answers = {name: client.get(url, params={"format": name}) for name in ("html", "csv", "json")}
    for name, answer in answers.items():
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-disposition"] == (
            f'attachment; filename="unveil-{gallery}-{found["query_hash"][:12]}.{name}"'
        )
    assert answers["html"].text.lower().startswith("<!doctype html>") and "<script" not in answers["html"].text
    lines = [line for line in answers["csv"].text.splitlines() if line and not line.startswith("#")]
    assert len(lines) == 5
    assert [hit["item"]["id"] for hit in found["hits"]] == last_entry(store, "export")["results"]
    assert str(found["hits"][0]["item"]["id"]) in answers["json"].text
    assert client.get(url, params={"format": "exe"}).status_code == 422


def test_every_search_is_in_the_audit_log_with_who_and_why(callers, gallery, store):
    client = callers.client("reader")
    found = search(client, gallery, send(client, person(0)), where={"cameras": ["c0"]}, why=" lost child ", top=2)
    entry = last_entry(store, "search")
    assert (entry["who"], entry["role"], entry["why"]) == ("the-reader", "reader", "lost child")
    assert (entry["gallery"], entry["query"]) == (gallery, found["query_hash"])
    assert entry["results"] == [hit["item"]["id"] for hit in found["hits"]]
    assert entry["details"]["where"] == {"cameras": ["c0"]}
    log = callers.client("admin").get("/api/v1/audit", params={"gallery": gallery, "limit": 1000}).json()
    assert log["entries"][-1]["hash"] == entry["hash"]


def test_a_search_that_cannot_be_logged_gives_nothing(service_with, gallery, monkeypatch):
    from unveil.errors import UnveilError

    service = service_with()
    client = TestClient(create_app(service), base_url=LOOPBACK)
    image = send(client, person(0))

    def full(entry):
        raise UnveilError("the disk is full")

    monkeypatch.setattr(service.store, "log", full)
    answer = client.post(f"/api/v1/galleries/{gallery}/searches", json={"positives": [{"image": image}]})
    assert answer.status_code == 503 and "hits" not in answer.json()


def test_a_reason_is_asked_for_where_the_operator_wants_one(service_with, gallery):
    client = TestClient(create_app(service_with(require_why=True)), base_url=LOOPBACK)
    body = {"positives": [{"image": send(client, person(0))}]}
    url = f"/api/v1/galleries/{gallery}/searches"
    assert client.get("/api/v1/session").json()["require_why"] is True
    for why in ("", "   "):
        refused = client.post(url, json={**body, "why": why})
        assert refused.status_code == 422 and "reason" in refused.json()["error"]
    assert client.post(url, json={**body, "why": "theft, case 12"}).status_code == 201


def test_deletion_removes_the_rows_that_it_names(client, own_gallery, store):
    url = f"/api/v1/galleries/{own_gallery}"
    assert client.post(f"{url}/deletions", json={"where": {}}).status_code == 422
    answer = client.post(f"{url}/deletions", json={"where": {"persons": ["p04"]}, "why": "asked to be forgotten"})
    assert answer.json() == {"deleted": CAMERAS * SHOTS}
    left = client.get(f"{url}/items", params={"limit": 200}).json()["items"]
    assert "p04" not in {row["person"] for row in left} and len(left) == (PEOPLE - 1) * CAMERAS * SHOTS
    found = search(client, own_gallery, send(client, person(4)), top=100)
    assert "p04" not in {hit["item"]["person"] for hit in found["hits"]}
    begun, ended = [entry for entry in store.entries(own_gallery) if entry["action"] == "delete"]
    for entry in (begun, ended):
        assert entry["why"] == "asked to be forgotten" and entry["details"]["where"] == {"persons": ["p04"]}
    assert begun["details"]["state"] == "begun" and ended["details"]["deleted"] == CAMERAS * SHOTS


def test_images_can_be_indexed_and_found(client, own_gallery, store):
    url = f"/api/v1/galleries/{own_gallery}/items"
    image = encoded(person(20, 1, 1))
    params = {"camera": "door", "time": 1_700_009_000, "tag": ["late", "alone"]}
    assert client.post(url, params=params, content=image).json() == {"added": 1, "known": 0}
    assert client.post(url, params=params, content=image).json() == {"added": 0, "known": 1}
    (hit,) = search(client, own_gallery, send(client, person(20)), top=1)["hits"]
    assert (hit["item"]["camera"], hit["item"]["time"]) == ("door", 1_700_009_000)
    assert sorted(hit["item"]["tags"]) == ["alone", "late"]
    assert last_entry(store, "add")["gallery"] == own_gallery
    assert client.post(url, content=b"no image").status_code == 422


def test_a_gallery_of_another_model_is_shown_but_not_searched(client, store, engine):
    from unveil.gallery.records import EmbeddingSpace

    info = engine.space_info
    store.create("unsearchable", EmbeddingSpace("f" * 16, info.names, info.dimension, info.metric, info.weights))
    try:
        listed = next(g for g in client.get("/api/v1/galleries").json() if g["name"] == "unsearchable")
        assert listed["searchable"] is False
        asked = {"positives": [{"image": send(client, person(0))}]}
        answer = client.post("/api/v1/galleries/unsearchable/searches", json=asked)
        assert answer.status_code == 409 and "f" * 16 in answer.json()["error"]
    finally:
        store.drop("unsearchable")


def test_roles_open_what_they_should_and_nothing_else(callers, own_gallery):
    url = f"/api/v1/galleries/{own_gallery}"
    found = {}
    for role in ("reader", "operator", "admin"):
        client = callers.client(role)
        made = search(client, own_gallery, send(client, person(0)), top=1)
        report = f"{url}/searches/{made['search']}/report"
        found[role] = [
            client.get(report).status_code,
            client.get(report, params={"blur": False}).status_code,
            client.post(f"{url}/items", content=encoded(person(30))).status_code,
            client.post(f"{url}/deletions", json={"where": {"persons": ["nobody"]}}).status_code,
            client.get("/api/v1/audit").status_code,
            client.get("/metrics").status_code,
        ]
    assert found == {
        "reader": [200, 403, 403, 403, 403, 200],
        "operator": [200, 200, 201, 403, 403, 200],
        "admin": [200, 200, 201, 200, 200, 200],
    }


def test_what_one_caller_sent_is_nothing_to_another(callers, gallery):
    reader, operator = callers.client("reader"), callers.client("operator")
    image = send(reader, person(0))
    made = search(reader, gallery, image, top=1)
    url = f"/api/v1/galleries/{gallery}/searches"
    assert operator.get(f"/api/v1/images/{image}/people").status_code == 410
    assert operator.post(url, json={"positives": [{"image": image}]}).status_code == 410
    assert operator.get(f"{url}/{made['search']}/report").status_code == 410
    assert reader.get(f"{url}/{made['search']}/report").status_code == 200


def test_the_description_names_every_route_its_errors_and_its_tokens(client):
    described = client.get("/api/v1/openapi.json").json()
    paths = {path for path in described["paths"] if path.startswith("/api/v1")}
    assert len(paths) >= 12
    for path in paths:
        for operation in described["paths"][path].values():
            assert {str(status) for status in ERRORS} <= set(operation["responses"]), path
            assert operation["security"] == [{"HTTPBearer": []}], path
            assert operation["description"], path


def test_the_description_says_which_bodies_are_images_and_which_pieces_of_files(client):
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    kinds = ["image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff"]
    of_gallery = "/api/v1/galleries/{gallery}"
    images = ("/api/v1/images", f"{of_gallery}/items", f"{of_gallery}/plan")
    for path, types in {**dict.fromkeys(images, kinds), f"{of_gallery}/uploads/{{upload}}": []}.items():
        body = paths[path]["post"]["requestBody"]
        binary = {"schema": {"type": "string", "format": "binary"}}
        assert body == {"required": True, "content": dict.fromkeys([*types, "application/octet-stream"], binary)}, path


def test_the_description_is_written_out_once(client, monkeypatch):
    made = []
    written = client.app.openapi
    monkeypatch.setattr(client.app, "openapi", lambda: made.append(1) or written())
    first, second = (client.get("/api/v1/openapi.json") for _ in range(2))
    assert first.json()["info"]["title"] == "unveil" and first.content == second.content
    assert len(made) <= 1


def test_the_audit_log_is_read_from_any_number_on(callers, own_gallery):
    client = callers.client("admin")
    for number in (0, 1, 10**6, 2**62, 2**63 - 1):
        answer = client.get("/api/v1/audit", params={"after": number, "limit": 1000})
        assert answer.status_code == 200, number
    assert client.get("/api/v1/audit", params={"after": 2**63}).status_code == 422
    deletion = {"where": {"cameras": ["nowhere"]}}
    for _ in range(5):
        client.post(f"/api/v1/galleries/{own_gallery}/deletions", json=deletion)
    seen, after = [], 0
    while after is not None:
        page = client.get("/api/v1/audit", params={"gallery": own_gallery, "after": after, "limit": 2}).json()
        seen += [entry["number"] for entry in page["entries"]]
        after = page["next"]
    assert len(seen) == 10 and seen == sorted(set(seen)), "each deletion has two entries"
