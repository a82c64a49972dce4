"""`unveil serve` as a process of its own: tokens, where it may listen, twenty clients at once, and how it stops."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import numpy as np
import pytest

from callers import encoded, person
from unveil.cli import app as command_line
from unveil.errors import UnveilError
from unveil.server.run import listen


def run(*words):
    """Run a command in this process."""
    try:
        command_line([*map(str, words)])
    except SystemExit as end:
        return end.code or 0
    return 0


@pytest.fixture
def process(server, model, gallery):
    """Return what starts `unveil serve` on a free port and gives the process and its address."""
    started = []

    def start(*more, name=gallery):
        command = [sys.executable, "-m", "unveil", "serve", "--gallery", name, "--model", str(model), "--engine"]
        command += ["torch", "--store", server, "--port", "0", *map(str, more)]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        started.append(child)
        for line in child.stderr:
            if found := re.search(r"serving at (http://[^/]+)/", line):
                return child, found[1]
        raise AssertionError("the server ended before it listened")

    yield start
    for child in started:
        child.kill()
        child.wait()
        child.stderr.close()


def answers(address):
    for _ in range(400):
        try:
            if httpx.get(f"{address}/readyz", timeout=5).status_code == 200:
                return True
        except httpx.TransportError:
            time.sleep(0.05)
    return False


def test_twenty_clients_at_once_then_a_request_that_is_under_way_is_finished_after_sigterm(process, gallery):
    child, address = process("--rate", "0")
    assert answers(address)

    def one(number):
        with httpx.Client(base_url=address, timeout=60) as client:
            sent = client.post("/api/v1/images", content=encoded(person(number % 8)))
            body = {"positives": [{"image": sent.json()["image"]}], "top": 1, "skip_person_check": True}
            found = client.post(f"/api/v1/galleries/{gallery}/searches", json=body)
            return found.status_code, found.json()["hits"][0]["item"]["person"]

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(one, range(20))) == [(201, f"p{n % 8:02d}") for n in range(20)]
    blank = httpx.post(f"{address}/api/v1/images", content=encoded(np.full((128, 64, 3), 120, np.uint8))).json()
    body = {"positives": [{"image": blank["image"]}]}
    nobody = httpx.post(f"{address}/api/v1/galleries/{gallery}/searches", json=body, timeout=60)
    assert nobody.status_code == 422 and "no person is seen" in nobody.json()["error"]

    image = encoded(person(0))
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as wire:
        head = f"POST /api/v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(image)}\r\n\r\n"
        wire.sendall(head.encode() + image[:100])
        while "unveil_requests_under_way 2.0" not in httpx.get(f"{address}/metrics").text:
            time.sleep(0.02)  # until the server has begun with it; the metrics' own request is the second
        child.send_signal(signal.SIGTERM)
        refused = False
        for _ in range(400):
            try:
                socket.create_connection((host, int(port)), 1).close()
                time.sleep(0.05)
            except OSError:
                refused = True
                break
        assert refused, "a server that stops takes no new connections"
        assert child.poll() is None, "it did not wait for the request"
        wire.sendall(image[100:])
        wire.settimeout(30)
        assert wire.recv(4096).startswith(b"HTTP/1.1 201")
    assert child.wait(90) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def test_servers_of_one_store_agree_at_once_on_what_was_removed(process, own_gallery):
    first, second = (process("--rate", "0", name=own_gallery)[1] for _ in range(2))
    assert answers(first) and answers(second)

    def found(address):
        sent = httpx.post(f"{address}/api/v1/images", content=encoded(person(3)), timeout=60).json()
        body = {"positives": [{"image": sent["image"]}], "top": 200, "skip_person_check": True}
        answer = httpx.post(f"{address}/api/v1/galleries/{own_gallery}/searches", json=body, timeout=60)
        return [(hit["item"]["id"], hit["item"]["person"]) for hit in answer.json()["hits"]]

    before = found(first)
    assert before == found(second) and before[0][1] == "p03"  # both hold the vectors in memory now
    removal = {"where": {"ids": [before[0][0]]}, "why": "asked to be forgotten"}
    removed = httpx.post(f"{first}/api/v1/galleries/{own_gallery}/deletions", json=removal, timeout=60)
    assert removed.json()["deleted"] == 1, removed.text
    assert found(second) == before[1:] == found(first)  # the very next search, whoever answers it


def test_a_token_opens_the_door_until_it_is_taken_back(tmp_path, process, capsys):
    file = tmp_path / "tokens.json"
    assert run("serve", "--new-token", "anna", "--role", "operator", "--tokens", file) == 0
    token = capsys.readouterr().out.strip()
    assert token.startswith("unveil_")
    child, address = process("--tokens", file, "--require-why")
    headers = {"Authorization": f"Bearer {token}"}
    assert answers(address)
    session = httpx.get(f"{address}/api/v1/session", headers=headers).json()
    assert (session["name"], session["role"], session["require_why"]) == ("anna", "operator", True)
    assert httpx.get(f"{address}/api/v1/session").status_code == 401
    assert run("serve", "--revoke-token", "anna", "--tokens", file) == 0
    assert httpx.get(f"{address}/api/v1/session", headers=headers).status_code == 401
    child.send_signal(signal.SIGINT)
    assert child.wait(90) in (0, 130, -signal.SIGINT)


def test_tokens_are_made_for_a_gallery_and_a_time_and_listed(tmp_path, capsys):
    file = tmp_path / "tokens.json"
    assert run("serve", "--new-token", "anna", "--gallery", "shop", "--expires", "90d", "--tokens", file) == 0
    assert "in shop until" in capsys.readouterr().err
    assert run("serve", "--new-token", "ben", "--role", "admin", "--tokens", file) == 0
    capsys.readouterr()
    assert run("serve", "--list-tokens", "--tokens", file) == 0
    table = capsys.readouterr().out
    assert all(word in table for word in ("anna", "reader", "shop", "ben", "admin", "all", "never", "not known"))


@pytest.mark.parametrize(("words", "said"), [
    (["--model", "m", "--host", "0.0.0.0"], "loopback only"),
    (["--model", "m", "--certificate", "c.pem"], "both --certificate and --key"),
    (["--new-token", "anna"], "--tokens"),
    (["--model", "nowhere.safetensors"], "no model at"),
])  # fmt: skip
def test_a_server_that_cannot_start_says_why(words, said, server):
    with pytest.raises(UnveilError, match=said):
        command_line(["serve", "--store", server, "--port", "0", *words], standalone_mode=False)


def test_a_gallery_that_is_not_there_or_is_of_another_model_is_refused_at_the_start(server, store, engine, model):
    from unveil.gallery.records import EmbeddingSpace

    info = engine.space_info
    store.create("of-another-model", EmbeddingSpace("e" * 16, info.names, info.dimension, info.metric, info.weights))
    start = ["serve", "--store", server, "--port", "0", "--model", str(model), "--engine", "torch", "--gallery"]
    try:
        with pytest.raises(UnveilError, match=r"was embedded by model e{16}"):
            command_line([*start, "of-another-model"], standalone_mode=False)
        with pytest.raises(UnveilError, match="no gallery 'statio'"):
            command_line([*start, "statio"], standalone_mode=False)
    finally:
        store.drop("of-another-model")


def test_a_port_that_is_taken_is_one_clear_error():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UnveilError, match=rf"port {port}: .*try another"):
            listen("127.0.0.1", port)
    with pytest.raises(UnveilError, match=r"cannot listen on 203\.0\.113\.7"):
        listen("203.0.113.7", 0)
