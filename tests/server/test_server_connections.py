"""Connections that send nothing, too little, or read nothing: everybody else is served as ever."""

import contextlib
import socket
import time

import httpx2 as httpx
import pytest

from unveil.server.connections import Connections, Phase
from unveil.server.settings import Limits

HALF = {
    "nothing": b"",
    "half a header": b"GET /healthz HTTP/1.1\r\nHost: loc",
    "no body": b"POST /api/v1/galleries/station/searches HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    "no image": b"POST /api/v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nabc",
}


@pytest.mark.parametrize("sent", HALF)
def test_300_connections_that_do_not_go_on_shut_nobody_out(live, sent):
    address = live(limits=Limits(rate=0))
    host, port = address.removeprefix("http://").split(":")
    wires = []
    try:
        for _ in range(300):
            wires.append(socket.create_connection((host, int(port)), 10))
            wires[-1].sendall(HALF[sent])
        begun = time.monotonic()
        for path in ("/healthz", "/readyz", "/api/v1/session"):
            assert httpx.get(address + path, timeout=20).status_code == 200, path
        assert time.monotonic() - begun < 20
    finally:
        for wire in wires:
            wire.close()


def test_a_connection_without_a_request_is_closed_in_time(live):
    address = live(limits=Limits(rate=0, header_seconds=0.3))
    host, port = address.removeprefix("http://").split(":")
    for sent in (b"", b"GET /healthz HTTP/1.1\r\n"):
        with socket.create_connection((host, int(port)), 10) as wire:
            wire.sendall(sent)
            wire.settimeout(20)
            with contextlib.suppress(ConnectionResetError):
                assert wire.recv(100) == b""


def test_a_connection_that_was_closed_takes_nobodys_place(live):
    address = live(limits=Limits(rate=0, connections_per_address=2))
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as wire:
        wire.settimeout(20)
        for _ in range(5):
            assert httpx.get(f"{address}/healthz", timeout=20).status_code == 200
        wire.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert wire.recv(100).startswith(b"HTTP/1.1 200")  # it waited without a word, and would have given way first


def test_of_requests_sent_at_once_the_first_is_answered_and_the_connection_closed(live):
    address = live(limits=Limits(rate=0))
    host, port = address.removeprefix("http://").split(":")
    request = f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    with socket.create_connection((host, int(port)), 10) as wire:
        wire.settimeout(20)
        wire.sendall(request * 20)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := wire.recv(65536):
                received += part
    assert received.count(b"HTTP/1.1 200 OK") == 1
    with socket.create_connection((host, int(port)), 10) as wire:  # one after the other they share a connection
        wire.settimeout(20)
        for _ in range(3):
            wire.sendall(request)
            answer = b""
            while not answer.endswith(b"}"):
                answer += wire.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 OK")


class Wire:
    def __init__(self):
        self.aborted = False

    def abort(self):
        self.aborted = True


def opened(connections, address, count, phase, first=0):
    wires = []
    for port in range(first, first + count):
        wires.append(Wire())
        connections.opened((address, port), wires[-1])
        connections.at((address, port), phase)
    return wires


def test_the_crowd_of_one_address_is_paid_for_by_that_address():
    connections = Connections(Limits(connections=10, connections_per_address=0, reserve=2))
    patient = opened(connections, "10.0.0.2", 3, Phase.NO_REQUEST)
    crowd = opened(connections, "10.0.0.1", 50, Phase.NO_REQUEST)
    assert not any(wire.aborted for wire in patient) and len(connections) == 10
    assert [wire.aborted for wire in crowd] == [True] * 43 + [False] * 7


def test_who_has_sent_least_gives_way_and_who_waits_for_an_answer_does_not():
    connections = Connections(Limits(connections_per_address=3, reserve=1))
    busy = opened(connections, "a", 1, Phase.WHOLE)
    slow = opened(connections, "a", 1, Phase.NO_BODY, 10)
    silent = opened(connections, "a", 1, Phase.NO_REQUEST, 20)
    opened(connections, "a", 1, Phase.WHOLE, 30)
    assert silent[0].aborted and not slow[0].aborted
    opened(connections, "a", 1, Phase.WHOLE, 40)
    assert slow[0].aborted and not busy[0].aborted
    (reserved,) = opened(connections, "a", 1, Phase.WHOLE, 50)
    assert not reserved.aborted and connections.in_reserve(("a", 50))
    (refused,) = opened(connections, "a", 1, Phase.WHOLE, 60)
    assert refused.aborted and len(connections) == 4
