"""What the server listens on, and what it makes of what connects, below the routes."""

import contextlib
import resource
import socket
from http.client import HTTPConnection

import httpx2 as httpx
import pytest
from typer.testing import CliRunner

from unveil.cli import app
from unveil.server import run, settings
from unveil.server.access.tokens import new_token
from unveil.server.settings import Limits


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("[::1]", socket.AF_INET6)]
)
def test_it_listens_where_it_was_told(host, family):
    try:
        with run.listen(host, 0) as listener:
            assert listener.family == family and listener.type == socket.SOCK_STREAM
            assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            with socket.create_connection(listener.getsockname()[:2], 10):
                pass
    except OSError as error:  # pragma: no cover
        pytest.skip(f"no {host} on this machine: {error}")


def test_an_answer_does_not_tell_what_the_server_is_made_of_and_nothing_is_upgraded(live):
    address = live(limits=Limits(rate=0))
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    for headers in ({}, upgrade):
        answer = httpx.get(f"{address}/healthz", headers=headers)
        assert answer.status_code == 200 and "server" not in answer.headers


def test_what_a_proxy_says_of_an_address_is_not_believed(live, tmp_path):
    file = tmp_path / "tokens.json"
    token = new_token(file, "anna", role="reader")
    address = live(limits=Limits(rate=0, refused=3), tokens=file)
    guesses = [{"X-Forwarded-For": f"10.0.0.{n}", "Authorization": "Bearer unveil_guess"} for n in range(6)]
    said = [httpx.get(f"{address}/api/v1/session", headers=one).status_code for one in guesses]
    # Whoever could name another address each time would guess on and on.
    assert said[0] == 401 and said[-1] == 429
    known = httpx.get(f"{address}/api/v1/session", headers={"Authorization": f"Bearer {token}"})
    assert known.json()["name"] == "anna"
    assert sent_from("127.0.0.2", address, guesses[0]) == 401  # nobody else pays for that


def test_without_tokens_each_address_has_a_rate_of_its_own(live):
    address = live(limits=Limits(rate=1, burst=2))
    said = [sent_from("127.0.0.1", address) for _ in range(3)]
    assert said == [422, 422, 429]
    assert sent_from("127.0.0.2", address) == 422


def sent_from(source, address, headers=None):
    """Send what is no image from an address of this machine (on Linux all of 127.0.0.0/8 is); return the status."""
    host, port = address.removeprefix("http://").split(":")
    with contextlib.closing(HTTPConnection(host, int(port), timeout=20, source_address=(source, 0))) as connection:
        connection.request("POST", "/api/v1/images", body=b"no image", headers=headers or {})
        return connection.getresponse().status


def test_a_header_without_end_is_refused(live):
    host, port = live(limits=Limits(rate=0)).removeprefix("http://").split(":")
    for size, answered in ((60_000, b"HTTP/1.1 200"), (70_000, b"HTTP/1.1 400")):
        with socket.create_connection((host, int(port)), 10) as wire:
            wire.settimeout(20)
            wire.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nX-Long: ".encode() + b"x" * size)
            if answered.endswith(b"200"):
                wire.sendall(b"\r\n\r\n")
            assert wire.recv(100).startswith(answered), size


UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [
        (1_024, UNLIMITED, run.FILES),
        (1_024, 4_096, 4_096),
        (1_024, 10 * run.FILES, run.FILES),
        (run.FILES, UNLIMITED, None),
        (run.FILES + 1, UNLIMITED, None),
        (UNLIMITED, UNLIMITED, None),
        (4_096, 4_096, None),
    ],
)
def test_as_many_files_are_opened_as_the_system_lets_it(monkeypatch, soft, hard, wanted):
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda *words: asked.append(words))
    run._allow_files()
    assert asked == ([] if wanted is None else [(resource.RLIMIT_NOFILE, (wanted, hard))])


@pytest.mark.parametrize("error", [ValueError, OSError])
def test_a_system_that_refuses_more_files_is_no_reason_not_to_start(monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1_024, UNLIMITED))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    run._allow_files()


class Started(Exception):
    """The server would start; with these limits."""


@pytest.mark.parametrize(
    ("words", "per_address", "refused"),
    [((), 64, 20), (("--connections-per-address", "0", "--wrong-tokens", "200"), 0, 200)],
)
def test_what_counts_by_address_can_be_raised_for_a_proxy(monkeypatch, words, per_address, refused):
    def started(*given):
        raise Started(*(one for one in given if isinstance(one, Limits)))

    monkeypatch.setattr(settings, "Settings", started)
    error = CliRunner().invoke(app, ["serve", *words]).exception
    assert isinstance(error, Started), error
    (limits,) = error.args
    assert (limits.connections_per_address, limits.refused) == (per_address, refused)


@pytest.mark.parametrize("words", [("--connections-per-address", "257"), ("--wrong-tokens", "-1")])
def test_a_limit_beyond_its_bounds_is_refused(words):
    assert CliRunner().invoke(app, ["serve", *words]).exit_code == 2
