import json
import stat
import threading
import time

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from callers import encoded, person, send
from unveil.errors import UnveilError
from unveil.gallery.records import Filter
from unveil.server.access.tokens import Caller, Tokens, list_tokens, new_token, revoke_token
from unveil.server.app import create_app
from unveil.server.middleware.rate_limiter import RateLimiter, retry_after


def test_a_token_is_found_by_its_text_alone_and_never_kept(tmp_path):
    path = tmp_path / "tokens.json"
    anna, ben = new_token(path, "anna", role="operator"), new_token(path, "ben", role="reader")
    tokens = Tokens(path)
    assert tokens.find(anna) == Caller("anna", "operator")
    assert tokens.find(ben) == Caller("ben", "reader")
    assert tokens.find(anna[:-1]) is None and tokens.find("") is None and tokens.find("\udcff") is None
    text = path.read_text()
    assert anna not in text and anna.removeprefix("unveil_") not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    hashes = {token["sha256"] for token in json.loads(text)["tokens"]}
    assert all(tokens.find(known) is None for known in hashes)


def test_a_running_server_sees_new_and_revoked_tokens(tmp_path):
    path = tmp_path / "tokens.json"
    anna = new_token(path, "anna", role="reader")
    tokens = Tokens(path)
    ben = new_token(path, "ben", role="admin")
    assert tokens.find(ben) == Caller("ben", "admin")
    revoke_token(path, "anna")
    assert tokens.find(anna) is None and tokens.find(ben)


@pytest.mark.parametrize(("name", "role", "said"), [
    ("anna", "king", "no role 'king'"), ("anna", "read", "did you mean 'reader'"), ("", "reader", "no name"),
    ("a b", "reader", "no name"), ("../x", "reader", "no name"), ("a\n", "reader", "no name"),
])  # fmt: skip
def test_a_wrong_role_or_name_is_refused(tmp_path, name, role, said):
    with pytest.raises(UnveilError, match=said):
        new_token(tmp_path / "tokens.json", name, role=role)
    assert not (tmp_path / "tokens.json").exists()


def test_a_name_is_given_once_and_only_known_names_are_revoked(tmp_path):
    path = tmp_path / "tokens.json"
    new_token(path, "anna", role="reader")
    with pytest.raises(UnveilError, match="already"):
        new_token(path, "anna", role="admin")
    with pytest.raises(UnveilError, match="did you mean 'anna'"):
        revoke_token(path, "ana")


@pytest.mark.parametrize("content", ["", "[]", '{"format": 3}', '{"tokens": [{"name": "a"}]}', "{"])
def test_a_damaged_file_lets_nobody_in(tmp_path, content):
    path = tmp_path / "tokens.json"
    path.write_text(content)
    with pytest.raises(UnveilError, match="not a file of tokens"):
        Tokens(path)
    with pytest.raises(UnveilError, match="cannot be read"):
        Tokens(tmp_path / "missing.json")


def test_two_that_make_tokens_at_once_lose_none(tmp_path):
    path = tmp_path / "tokens.json"
    threads = [threading.Thread(target=new_token, args=(path, f"n{k}"), kwargs={"role": "reader"}) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(path.read_text())["tokens"]) == 12
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".tmp"]


def test_a_token_expires_and_its_name_is_free_again(tmp_path):
    path = tmp_path / "tokens.json"
    anna = new_token(path, "anna", role="reader", seconds=3600)
    now = time.time()
    tokens = Tokens(path, clock=lambda: now)
    assert tokens.find(anna) == Caller("anna", "reader")
    now += 3599
    assert tokens.find(anna)
    now += 2
    assert tokens.find(anna) is None
    ben = new_token(path, "ben", role="reader", seconds=-1)
    assert Tokens(path).find(ben) is None
    again = new_token(path, "ben", role="reader")
    assert Tokens(path).find(again) and Tokens(path).find(ben) is None
    assert [token.name for token in list_tokens(path)] == ["anna", "ben"]


def test_tokens_are_listed_with_rights_and_last_use(tmp_path):
    path = tmp_path / "tokens.json"
    anna = new_token(path, "anna", role="operator", galleries=("shop", "yard"), seconds=3600)
    new_token(path, "ben", role="reader")
    now = 2e9 - 7200
    tokens = Tokens(path, clock=lambda: now)
    assert [token.used for token in list_tokens(path)] == [None, None]
    now = time.time()
    assert tokens.find(anna) == Caller("anna", "operator", ("shop", "yard"))
    tokens.note_use()
    first, second = list_tokens(path)
    assert (first.galleries, first.used, second.galleries, second.used) == (("shop", "yard"), now, (), None)
    assert first.expires == pytest.approx(now + 3600, abs=60)
    assert stat.S_IMODE(path.with_name("tokens.json.used").stat().st_mode) == 0o600
    path.with_name("tokens.json.used").write_text("no JSON")
    assert [token.used for token in list_tokens(path)] == [None, None] and tokens.find(anna)


def test_a_file_of_before_is_read(tmp_path):
    path = tmp_path / "tokens.json"
    anna = new_token(path, "anna", role="reader")
    (token,) = json.loads(path.read_text())["tokens"]
    old = {name: token[name] for name in ("name", "role", "sha256", "created")}
    path.write_text(json.dumps({"format": 1, "tokens": [old]}))
    assert Tokens(path).find(anna) == Caller("anna", "reader")
    new_token(path, "ben", role="reader")
    assert Tokens(path).find(anna)


def test_a_token_for_one_gallery_opens_no_other(service_with, fill, store, tmp_path):
    mine, other, path = fill("rights_a"), fill("rights_b"), tmp_path / "tokens.json"
    token = new_token(path, "ada", role="admin", galleries=(mine,))
    app = create_app(service_with(tokens=path))
    client = TestClient(app, base_url="http://unveil.example", headers={"Authorization": f"Bearer {token}"})
    assert [info["name"] for info in client.get("/api/v1/galleries").json()] == [mine]
    row = store.find(other, Filter(), limit=1)[0].id
    image = send(client, person(0))
    body = {"positives": [{"image": image}]}
    assert client.post(f"/api/v1/galleries/{mine}/searches", json=body).status_code == 201
    for method, what, json_body in (
        ("GET", "", None), ("GET", "/items", None), ("GET", f"/items/{row}", None),
        ("GET", f"/items/{row}/thumbnail", None), ("POST", "/searches", body),
        ("POST", "/deletions", {"where": {"ids": [row]}}),
    ):  # fmt: skip
        answer = client.request(method, f"/api/v1/galleries/{other}{what}", json=json_body)
        assert answer.status_code == 404, (method, what)
    added = client.post(f"/api/v1/galleries/{other}/items", content=encoded(person(0)))
    assert added.status_code == 404
    assert client.get("/api/v1/audit").status_code == 403
    assert client.get("/api/v1/audit", params={"gallery": other}).status_code == 403
    assert client.get("/api/v1/audit", params={"gallery": mine}).status_code == 200
    assert client.get("/metrics").status_code == 403
    assert store.items(other, [row])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_then_its_rate():
    clock = Clock()
    rate = RateLimiter(60, 3, clock=clock)
    assert [rate.take("a") for _ in range(4)] == [0, 0, 0, 1.0]
    assert rate.take("b") == 0
    clock.now = 0.75
    assert rate.take("a") == pytest.approx(0.25)
    clock.now = 1.0
    assert rate.take("a") == 0 and rate.take("a") == pytest.approx(1.0)
    assert [retry_after(w) for w in (0.01, 1.0, 1.2)] == ["1", "1", "2"]


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(1, 600), st.integers(1, 10))
def test_no_more_passes_than_burst_and_rate_allow(gaps, per_minute, burst):
    clock = Clock()
    rate, passed = RateLimiter(per_minute, burst, clock=clock), 0
    for gap in gaps:
        clock.now += gap
        passed += rate.take("a") == 0
    assert passed <= burst + clock.now * per_minute / 60 + 1e-6
    assert not gaps or passed >= 1


def test_no_rate_is_no_limit_and_forgotten_names_start_full():
    assert all(RateLimiter(0, 1).take("a") == 0 for _ in range(100))
    rate = RateLimiter(60, 1, names=2, clock=Clock())
    assert [rate.take(n) for n in "abc"] == [0, 0, 0]
    assert len(rate._buckets) == 2 and rate.take("c") > 0
