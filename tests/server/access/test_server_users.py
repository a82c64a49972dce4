"""Users over the API: who may make and take back tokens, and what is entered."""

import pytest

from callers import Callers
from unveil.server.access.tokens import new_token

URL = "/api/v1/users"


@pytest.fixture
def callers(tmp_path, service_with, gallery):
    return Callers(tmp_path, service_with)


def test_an_admin_makes_and_takes_back_tokens(callers, gallery, store):
    admin = callers.client("admin")
    made = admin.post(URL, json={"name": "ben", "role": "reader", "galleries": [gallery], "seconds": 3600})
    assert made.status_code == 201, made.text
    ben = callers.client(token=made.json()["token"])
    assert ben.get("/api/v1/session").json()["name"] == "ben"
    told = {user["name"]: user for user in admin.get(URL).json()}
    assert set(told) == {"ben", "the-reader", "the-operator", "the-admin"}
    assert (told["ben"]["role"], told["ben"]["galleries"]) == ("reader", [gallery])
    assert told["ben"]["expires"] - told["ben"]["created"] == pytest.approx(3600)
    assert "token" not in str(admin.get(URL).json()) and "sha256" not in str(admin.get(URL).json())
    assert admin.post(URL, json={"name": "ben", "role": "reader"}).status_code == 409
    assert admin.delete(f"{URL}/ben").status_code == 204
    assert ben.get("/api/v1/session").status_code == 401
    assert admin.delete(f"{URL}/ben").status_code == 404
    entries = [e for e in store.entries() if e["action"] == "users"][-2:]
    assert made.headers["x-request-id"] == entries[0]["details"]["request"]
    assert [(e["who"], e["details"]["what"], e["details"]["user"]) for e in entries] == [
        ("the-admin", "add user", "ben"), ("the-admin", "remove user", "ben"),
    ]  # fmt: skip


def test_others_may_not(callers, gallery, client):
    for role in ("reader", "operator"):
        assert callers.client(role).get(URL).status_code == 403
        assert callers.client(role).post(URL, json={"name": "x", "role": "admin"}).status_code == 403
    some = callers.client(token=new_token(callers.file, "some", role="admin", galleries=(gallery,)))
    assert some.get(URL).status_code == 403 and "users are of all galleries" in some.get(URL).json()["error"]
    assert callers.client("admin").delete(f"{URL}/the-admin").status_code == 422
    assert client.get(URL).status_code == 404 and "without --tokens" in client.get(URL).json()["error"]
    for bad in ({"name": "a b"}, {"role": "king"}, {"seconds": 0}, {"galleries": ["../x"]}):
        asked = {"name": "x", "role": "reader", **bad}
        assert callers.client("admin").post(URL, json=asked).status_code == 422, bad
