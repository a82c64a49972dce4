import io
import logging
import re
import struct
import zlib

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from callers import LOOPBACK, Callers, encoded, person, search, send
from unveil.server.app import create_app
from unveil.server.routes.page import FOLDER
from unveil.server.settings import Limits


def local(service_with, **limits):
    return TestClient(create_app(service_with(limits=Limits(**{"rate": 0, **limits}))), base_url=LOOPBACK)


def png_header(width, height):
    """A PNG that says it is huge, in 60 bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


def bomb(side):
    """An image of one colour whose pixels are a thousand times its bytes."""
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def test_two_hundred_megapixels_are_refused_before_they_are_decoded(client):
    data = bomb(14_200)
    assert len(data) < 100_000
    for body in (data, png_header(100_000, 100_000), png_header(2**31 - 1, 2**31 - 1)):
        answer = client.post("/api/v1/images", content=body)
        assert answer.status_code == 422 and "too large" in answer.json()["error"]


def test_pixels_are_limited_as_the_operator_says(service_with):
    client = local(service_with, pixels=64 * 128)
    assert client.post("/api/v1/images", content=encoded(person(0))).status_code == 201
    refused = client.post("/api/v1/images", content=bomb(91))
    assert refused.status_code == 422 and "8,192 pixels" in refused.json()["error"]


@pytest.mark.parametrize(("body", "said"), [
    (b"", "empty"), (b"GIF89a", "damaged|not an image"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "damaged|not an image"),
    (encoded(person(0))[:-300], "truncated"), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"), (b"%PDF-1.4", "not an image"),
])  # fmt: skip
def test_what_is_no_image_is_one_clear_error(client, body, said):
    import re

    answer = client.post("/api/v1/images", content=body)
    assert answer.status_code == 422
    assert re.search(said, answer.json()["error"]), answer.json()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_at_the_door_are_an_image_or_a_refusal(client, data):
    good = encoded(
        person(data.draw(st.integers(0, 3))), data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF"]))
    )
    body = bytearray(good)
    for _ in range(data.draw(st.integers(0, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = bytes(body[: data.draw(st.integers(0, len(body)))]) + data.draw(st.binary(max_size=20))
    answer = client.post("/api/v1/images", content=body)
    assert answer.status_code in (201, 422)
    if answer.status_code == 422:
        assert answer.json()["error"].startswith("the image: ")


def test_a_body_over_the_limit_is_refused_by_its_length_and_while_it_streams(service_with, gallery):
    client = local(service_with, upload=5_000, body=500)
    refused = client.post("/api/v1/images", content=b"x" * 5_001)
    assert refused.status_code == 413 and "5,000 bytes" in refused.json()["error"]
    said = refused.headers
    # What is left of the body is not read, so the connection cannot be used again.
    assert (said["content-type"], said["connection"]) == ("application/json", "close")
    assert int(said["content-length"]) == len(refused.content)
    pulled = 0

    def endless():
        nonlocal pulled
        for _ in range(1_000):
            pulled += 1
            yield b"x" * 1_000

    streamed = client.post("/api/v1/images", content=endless())
    assert streamed.status_code == 413
    search_body = {"positives": [{"item": 1}], "why": "y" * 480}
    assert client.post(f"/api/v1/galleries/{gallery}/searches", json=search_body).status_code == 413


def test_a_body_that_says_it_is_short_is_counted_all_the_same(live):
    """A client that lies about the length gets no further than what it said."""
    import socket

    host, port = live(limits=Limits(rate=0, upload=1_000)).removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as wire:
        wire.sendall(b"POST /api/v1/images HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            wire.sendall(b"1f4\r\n" + b"x" * 500 + b"\r\n")
        wire.settimeout(10)
        assert b" 413 " in wire.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize("path", ["images", "galleries/station/items", "galleries/station/searches",
                                  "galleries/station/deletions"])  # fmt: skip
def test_a_body_that_never_arrives_is_given_up_on_every_route(live, path):
    import socket

    host, port = live(limits=Limits(rate=0, upload_seconds=0.2)).removeprefix("http://").split(":")
    head = f"POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), 10) as wire:
        wire.sendall(head.encode() + b"Content-Length: 500\r\n\r\n{")
        wire.settimeout(10)
        assert b" 408 " in wire.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize("path", [
    "/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page//etc/passwd", "/page/%2fetc%2fpasswd",
    "/page/..%5capp.py", "/page/index.html%00.js", "/page/.", "/../../etc/passwd", "/page/INDEX.html",
])  # fmt: skip
def test_no_path_leads_out_of_the_page(client, path):
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert "def " not in answer.text and "root:" not in answer.text


def test_every_file_of_the_page_is_served_with_strict_headers_and_no_outside_resource(client):
    names = [path.name for path in FOLDER.iterdir()]
    for name in names:
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200 and answer.content == (FOLDER / name).read_bytes()
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'" == policy["style-src"]
        assert "unsafe" not in answer.headers["content-security-policy"] and "*" not in str(policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        text = answer.text.replace("http://www.w3.org/", "")
        assert "http://" not in text and "https://" not in text, name
    page = client.get("/")
    assert page.content == (FOLDER / "index.html").read_bytes()
    assert " style=" not in page.text and " onclick=" not in page.text
    again = client.get("/page/main.js", headers={"If-None-Match": client.get("/page/main.js").headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_without_tokens_only_this_machine_and_no_foreign_page_may_ask(service_with):
    app = create_app(service_with())
    url = "/api/v1/session"
    client = TestClient(app, base_url=LOOPBACK)
    for host in ("localhost:8080", "127.0.0.1", "[::1]:80"):
        assert client.get(url, headers={"Host": host}).status_code == 200, host
    for host in ("evil.example", "localhost.evil.example", "192.168.0.7:8080", "", "[::1"):
        assert client.get(url, headers={"Host": host}).status_code == 403, host
    proxies = {
        "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Host": "x", "Forwarded": "for=1.2.3.4", "Via": "1.1 proxy",
        "X-Real-IP": "1.2.3.4", "X-Client-IP": "1.2.3.4", "True-Client-IP": "1.2.3.4", "CF-Connecting-IP": "1.2.3.4",
        "X-Envoy-External-Address": "1.2.3.4", "X-Original-URL": "/", "X-Cluster-Client-IP": "1.2.3.4",
        "CDN-Loop": "x",
    }  # fmt: skip
    for name, value in proxies.items():
        refused = client.get(url, headers={name: value})
        assert refused.status_code == 403 and "--tokens" in refused.json()["error"], name
    assert client.get(url, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    image = encoded(person(0))
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9999"):
        refused = client.post("/api/v1/images", content=image, headers={"Origin": origin})
        assert refused.status_code == 403, origin
    assert client.post("/api/v1/images", content=image, headers={"Origin": LOOPBACK}).status_code == 201


def test_no_token_or_a_wrong_one_gets_nothing_but_health_and_page(callers, gallery):
    for client in (
        callers.client(),
        callers.client(token="unveil_wrong"),
        callers.client(token=callers.file.read_text()[:50].replace("\n", "")),
    ):
        described = client.get("/api/v1/openapi.json").json()
        for path, operations in described["paths"].items():
            if not path.startswith("/api/v1") and path != "/metrics":
                continue
            for method in operations:
                url = path.replace("{gallery}", gallery).replace("{item}", "1")
                url = url.replace("{image}", "x" * 20).replace("{search}", "x" * 20)
                answer = client.request(method, url)
                assert answer.status_code == 401, (method, url)
                assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == 200 and client.get("/").status_code == 200
        assert client.get("/readyz").json() == {"status": "ready"}


def test_guessing_tokens_is_slowed_down_and_known_ones_are_not(tmp_path, service_with):

    callers = Callers(tmp_path, service_with, limits=Limits(refused=5, rate=0))
    guesses = [callers.client(token=f"unveil_{n}").get("/api/v1/session").status_code for n in range(8)]
    assert guesses == [401] * 5 + [429] * 3
    assert callers.client("reader").get("/api/v1/session").status_code == 200


def test_too_many_requests_are_told_when_to_come_back(tmp_path, service_with, gallery):
    callers = Callers(tmp_path, service_with, limits=Limits(rate=6, burst=3))
    reader = callers.client("reader")
    codes = [reader.post("/api/v1/images", content=encoded(person(0))).status_code for _ in range(4)]
    assert codes == [201, 201, 201, 429]
    refused = reader.post("/api/v1/images", content=encoded(person(0)))
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert callers.client("admin").post("/api/v1/images", content=encoded(person(0))).status_code == 201
    # What is only read takes less: a page of results asks for dozens of small images.
    looking = callers.client("operator")
    assert {looking.get(f"/api/v1/galleries/{gallery}/alerts").status_code for _ in range(40)} == {200}
    assert looking.post("/api/v1/images", content=encoded(person(0))).status_code == 201
    assert looking.post("/api/v1/images", content=encoded(person(0))).status_code == 429


@pytest.mark.parametrize(("body", "said"), [
    ({}, "positives"), ({"positives": []}, "positives"), ({"positives": [{}]}, "either an image or an item"),
    ({"positives": [{"item": 1, "box": {"x": 0, "y": 0, "width": 9, "height": 9}}]}, "a box needs an image"),
    ({"positives": [{"item": 0}]}, "item"), ({"positives": [{"item": 2**63}]}, "item"),
    ({"positives": [{"item": 1}], "top": 0}, "top"), ({"positives": [{"item": 1}], "top": 201}, "at most 200"),
    ({"positives": [{"item": 1}], "mode": "other"}, "mode"), ({"positives": [{"item": 1}], "wher": {}}, "wher"),
    ({"positives": [{"item": 1}], "where": {"start": 2, "end": 1}}, "starts after it ends"),
    ({"positives": [{"item": 1}], "where": {"min_visible": 2}}, "min_visible"),
    ({"positives": [{"item": 1}] * 41}, "at most 40"), ({"positives": [{"image": "../../etc"}]}, "image"),
    ({"positives": [{"item": 1}], "where": {"cameras": ["a\0b"]}}, "cameras"),
])  # fmt: skip
def test_a_search_that_makes_no_sense_is_refused_in_words(client, gallery, body, said):
    answer = client.post(f"/api/v1/galleries/{gallery}/searches", json=body)
    assert answer.status_code == 422 and said in answer.json()["error"], answer.json()


def test_a_box_beside_the_image_or_too_small_is_refused(client, gallery):
    image = send(client, person(0))
    for box in ((64, 0, 10, 20), (0, 128, 10, 20), (0, 0, 7, 20), (60, 0, 100, 100)):
        piece = {"image": image, "box": dict(zip(("x", "y", "width", "height"), box, strict=True))}
        answer = client.post(f"/api/v1/galleries/{gallery}/searches", json={"positives": [piece]})
        assert answer.status_code == 422 and "too small" in answer.json()["error"], box
    assert search(client, gallery, {"image": image, "box": {"x": 0, "y": 0, "width": 10**6, "height": 10**6}})["hits"]


def test_images_go_after_their_time(service_with, gallery):
    client = local(service_with, held_seconds=0.0)
    image = send(client, person(0))
    answer = client.post(f"/api/v1/galleries/{gallery}/searches", json={"positives": [{"image": image}]})
    assert answer.status_code == 410 and "send it again" in answer.json()["error"]


def test_errors_have_one_shape_and_the_id_of_the_request(client, gallery):
    asked, as_json = {"X-Request-ID": "case-12.a"}, {"Content-Type": "application/json"}
    answers = [
        client.get("/nowhere", headers=asked), client.delete("/api/v1/galleries", headers=asked),
        client.post(f"/api/v1/galleries/{gallery}/searches", content=b"{", headers={**asked, **as_json}),
        client.get(f"/api/v1/galleries/{gallery}/items/zero", headers=asked),
    ]  # fmt: skip
    for answer in answers:
        assert answer.status_code >= 400
        assert set(answer.json()) == {"error", "request"} and answer.json()["request"] == "case-12.a"
        assert answer.headers["x-request-id"] == "case-12.a" and answer.headers["cache-control"] == "no-store"
    for bad in ("a b", "x" * 65, "<script>"):
        given = client.get("/healthz", headers={"X-Request-ID": bad}).headers["x-request-id"]
        assert given != bad and len(given) == 32


def test_each_request_is_a_line_of_the_log_with_who_asked_and_no_token(callers, caplog):
    url = "/api/v1/galleries"
    with caplog.at_level(logging.INFO, "unveil.server"):
        for client in (callers.client("reader"), callers.client(), callers.client(token="unveil_wrong")):
            client.get(f"{url}?why=theft", headers={"X-Request-ID": "case-12"})
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("case-12 ")]
    assert [re.sub(r"\d+ ms", "T", line) for line in said] == [
        f"case-12 the-reader GET {url} 200 T", f"case-12 - GET {url} 401 T", f"case-12 - GET {url} 401 T",
    ]  # fmt: skip
    assert not any(token in caplog.text for token in (*callers.tokens.values(), "theft"))


def test_a_failure_inside_is_an_error_without_its_inside(service_with, gallery, monkeypatch, caplog):
    service = service_with()
    client = TestClient(create_app(service), base_url=LOOPBACK, raise_server_exceptions=False)

    def broken():
        raise RuntimeError("secret path /srv/x")

    monkeypatch.setattr(service.store, "galleries", broken)
    answer = client.get("/api/v1/galleries")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.headers["content-security-policy"] and answer.json()["request"] in caplog.text


def test_readiness_follows_the_store_and_the_model(service_with, store, monkeypatch):
    from unveil.errors import UnveilError

    service = service_with()
    client = TestClient(create_app(service), base_url=LOOPBACK)
    assert client.get("/readyz").status_code == 200 and client.head("/healthz").status_code == 200

    def down():
        raise UnveilError("connection refused by 10.0.0.3")

    monkeypatch.setattr(service.store, "galleries", down)
    unready = client.get("/readyz")
    assert unready.status_code == 503 and "10.0.0.3" not in unready.text
    assert client.get("/healthz").status_code == 200
    listed = client.get("/api/v1/galleries")
    assert listed.status_code == 503 and "10.0.0.3" not in listed.text


def test_metrics_count_requests_searches_and_calls_of_the_engine(client, gallery):
    def value(name):
        lines = client.get("/metrics").text.splitlines()
        return float(next((line.split()[-1] for line in lines if line.startswith(name)), 0))

    searches = f'unveil_searches_total{{gallery="{gallery}"}}'
    assert (value(searches), value("unveil_engine_crops_total")) == (0, 0)
    image = send(client, person(0))
    for _ in range(3):
        search(client, gallery, image)
    assert value(searches) == 3
    assert value("unveil_engine_crops_total") == 1  # an image is embedded once however often it is searched with
    assert value('unveil_requests_total{method="POST",route="search",status="201"}') == 3
    client.get("/api/v1/galleries/a/items/9", headers={"Host": "127.0.0.1"})
    assert "/api" not in client.get("/metrics").text  # routes, not paths: their number is bounded
