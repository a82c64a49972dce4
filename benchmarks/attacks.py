"""Attacks on a fresh server, repeated: what each of them does to its memory and to the checks of its health.

    python benchmarks/attacks.py [--out benchmarks/results/attacks.csv] [--only uploads,silent]

`unveil serve` runs as a process of its own, with tokens, on a gallery of random crops in a store of its own. While an
attack runs, `/healthz` is asked ten times per second from the same address as the attacker, and the resident memory of
the server is read. An attack is withstood when the memory stays under 2 GiB, the slowest check takes under a second,
none fails, and no answer is a 5xx other than 503 with `Retry-After`. An attack sends nothing new after `LONGEST`
seconds; what it did not send is counted. The table is written after each attack, so that what was measured stays when
the run is stopped. All of it takes about three minutes.
"""

from __future__ import annotations

import argparse
import io
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx2 as httpx
import numpy as np
import psutil
from PIL import Image

from csv_rows import measured_on, write_rows
from unveil.gallery.records import EmbeddingSpace, Item
from unveil.gallery.store.opening import open_store
from unveil.inference.load import load_engine
from unveil.pretrained import DEFAULT_MODEL
from unveil.records import Embedding
from unveil.server.access.tokens import new_token

NAME = "station"
MAX_MEMORY, MAX_SECONDS = 2 << 30, 1.0
LONGEST = 30.0  # seconds that an attack sends
PATIENCE = 30.0  # seconds that it then waits for an answer
ROLES = {"anna": "reader", "ben": "reader", "ada": "admin"}


@dataclass(slots=True)  # a mistyped end_time would let an attack go on
class Target:
    """The server that is attacked, and what came of it.

    Args:
        address: where it listens.
        process: its process.
        tokens: token of each caller.
        answers: how often each status came; "closed" where the connection was cut, "not sent" where time was over.
        end_time: when an attack stops to send.
    """

    address: str
    process: psutil.Process
    tokens: dict[str, str]
    answers: Counter[str] = field(default_factory=Counter)
    end_time: float = float("inf")
    client: httpx.Client = field(default_factory=lambda: new_client(PATIENCE))

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self.address.removeprefix("http://").split(":")
        return host, int(port)

    def ask(self, method: str, path: str, who: str = "anna", **more: object) -> httpx.Response | None:
        """Send a request; count its answer."""
        if time.monotonic() > self.end_time:
            self.answers["not sent"] += 1
            return None
        try:
            headers = {"Authorization": f"Bearer {self.tokens.get(who, who)}"}
            answer = self.client.request(method, self.address + path, headers=headers, **more)
        except httpx.TransportError:
            self.answers["closed"] += 1
            return None
        told = answer.status_code == 503 and "retry-after" in answer.headers
        self.answers[f"{answer.status_code}{' come again' if told else ''}"] += 1
        return answer

    def send(self, data: bytes, who: str = "anna") -> str:
        """Send an image; return its name, or an empty text."""
        answer = self.ask("POST", "/api/v1/images", who, content=data)
        return answer.json()["image"] if answer is not None and answer.status_code == 201 else ""

    def wires(self, count: int, data: bytes, *, seconds: float) -> None:
        """Open connections, send the same on each, and keep them open."""
        with ExitStack() as stack:
            for _ in range(count):
                wire = stack.enter_context(socket.create_connection(self.place, 30))
                try:
                    wire.sendall(data)
                except OSError:
                    self.answers["closed"] += 1
            time.sleep(seconds)


def new_client(seconds: float) -> httpx.Client:
    """A client that opens a connection for every request; a client for each would read certificates every time."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.Client(limits=limits, timeout=seconds, trust_env=False)


@cache
def png(side: int, mode: str = "RGB") -> bytes:
    """A square image that is small as a file."""
    out = io.BytesIO()
    Image.new(mode, (side, side), 90).save(out, "PNG", compress_level=1)
    return out.getvalue()


def noise(width: int = 64, height: int = 128) -> bytes:
    """A small image that is like no other."""
    out = io.BytesIO()
    Image.fromarray(np.frombuffer(secrets.token_bytes(width * height * 3), np.uint8).reshape(height, width, 3)).save(
        out, "PNG"
    )
    return out.getvalue()


def head(path: str, token: str, length: int, kind: str = "application/json") -> bytes:
    """The header of a request whose body does not come."""
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", f"Content-Type: {kind}")
    return "\r\n".join((*lines, f"Content-Length: {length}", "", "")).encode()


def prepare() -> None:
    """Make the large images, so that the attacker takes no processor from the server while it is watched."""
    for side, mode in ((8000, "RGBA"), (6000, "RGB"), (14_200, "1")):
        png(side, mode)


def uploads(target: Target) -> None:
    """Eight images of 64 megapixels at once"""
    data = png(8000, "RGBA")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: target.ask("POST", "/api/v1/images", content=data), range(8)))


def boxes(target: Target) -> None:
    """A search with ten boxes on one image of 36 megapixels"""
    image = target.send(png(6000, "RGB"))
    places = [{"image": image, "box": {"x": 100 * n, "y": 0, "width": 3000, "height": 6000}} for n in range(10)]
    body = {"positives": places, "skip_person_check": True}
    target.ask("POST", f"/api/v1/galleries/{NAME}/searches", json=body)


def silent(target: Target) -> None:
    """255 connections that send nothing"""
    target.wires(255, b"", seconds=15)


def half_headers(target: Target) -> None:
    """255 connections that send half a header"""
    target.wires(255, b"GET /healthz HTTP/1.1\r\nHost: loc", seconds=15)


def no_bodies(target: Target) -> None:
    """255 searches whose body never comes"""
    target.wires(255, head(f"/api/v1/galleries/{NAME}/searches", target.tokens["anna"], 500) + b"{", seconds=15)


def slow_uploads(target: Target) -> None:
    """60 uploads of 20 MB that stop before their end"""
    data = head("/api/v1/images", target.tokens["anna"], 20_000_000, "image/png") + bytes(19_000_000)

    def one(_: int) -> None:
        try:
            with socket.create_connection(target.place, 30) as wire:
                wire.settimeout(20)
                wire.sendall(data)
                time.sleep(10)
        except OSError:
            target.answers["closed"] += 1

    with ThreadPoolExecutor(60) as pool:
        list(pool.map(one, range(60)))


def no_reader(target: Target) -> None:
    """100 clients that ask for pages and read nothing"""
    request = f"GET /api/v1/openapi.json HTTP/1.1\r\nHost: {target.address.removeprefix('http://')}\r\n\r\n"
    target.wires(100, request.encode() * 20, seconds=10)


def small_images(target: Target) -> None:
    """300 small images of one caller, while another has one"""
    bens = target.send(noise(), "ben")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: target.send(noise()), range(300)))
    target.end_time = float("inf")
    kept = target.ask(
        "POST",
        f"/api/v1/galleries/{NAME}/searches",
        "ben",
        json={"positives": [{"image": bens}], "skip_person_check": True},
    )
    assert kept is not None and kept.status_code == 201, "the other caller's image was pushed out"


def numbers(target: Target) -> None:
    """Numbers without end in every place"""
    for number in (2**31, 2**63 - 1, 2**63, 2**64, -1, 10**30):
        items = f"galleries/{NAME}/items"
        for path in ("audit?after=", "audit?limit=", f"{items}?after=", f"{items}?start=", f"{items}/"):
            target.ask("GET", f"/api/v1/{path}{number}", "ada")
        body = {"positives": [{"item": number}], "top": number}
        target.ask("POST", f"/api/v1/galleries/{NAME}/searches", "ada", json=body)


def guesses(target: Target) -> None:
    """200 guessed tokens"""
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: target.ask("GET", "/api/v1/session", f"unveil_{n}"), range(200)))


def bombs(target: Target) -> None:
    """Images that are 200 megapixels, or none"""
    deep = b"[" * 100_000
    for data in (png(14_200, "1"), b"\x89PNG\r\n\x1a\n" + bytes(100), b"GIF89a", b"<svg/>", b""):
        target.ask("POST", "/api/v1/images", content=data)
    target.ask("POST", f"/api/v1/galleries/{NAME}/searches", content=deep)


ATTACKS: tuple[Callable[[Target], None], ...] = (
    uploads, boxes, silent, half_headers, no_bodies, slow_uploads, no_reader, small_images, numbers, guesses, bombs,
)  # fmt: skip


class Watch:
    """Reads the server's memory and asks for its health while an attack runs."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._ended = threading.Event()
        self.memory = 0
        self.slowest = 0.0
        self.failed = 0
        self._threads = [threading.Thread(target=work) for work in (self._read, self._ask)]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        while not self._ended.wait(0.02):
            self.memory = max(self.memory, self._target.process.memory_info().rss)

    def _ask(self) -> None:
        client = new_client(PATIENCE)
        while True:
            begun = time.perf_counter()
            try:
                alive = client.get(self._target.address + "/healthz").status_code == 200
            except httpx.TransportError:
                alive = False
            self.failed += not alive
            self.slowest = max(self.slowest, time.perf_counter() - begun)
            if self._ended.wait(0.1):
                return


@contextmanager
def serving(folder: Path) -> Iterator[Target]:
    """Start a server on a new store with a gallery of a few random rows: no attack is about their number."""
    tokens = folder / "tokens.json"
    callers = {name: new_token(tokens, name, role=role) for name, role in ROLES.items()}
    store = open_store(None, folder / "store")
    engine = load_engine(Path(DEFAULT_MODEL), "torch")  # the server chooses among all, which takes it longer
    info = engine.space_info
    store.create(NAME, EmbeddingSpace(engine.fingerprint, info.names, info.dimension, info.metric, info.weights))
    rng, count = np.random.default_rng(0), 200
    vectors = rng.normal(size=(count, len(info.names), info.dimension)).astype(np.float32)
    shown = np.ones(vectors.shape[:2], np.float32)
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 128), (90, 60, 40)).save(jpeg, "JPEG")
    items = [Item(f"row {n}", "crop", jpeg.getvalue(), camera=f"c{n % 4}", time=1.7e9 + n) for n in range(count)]
    store.add(NAME, items, embedding=Embedding(vectors, shown, info.names, info.metric, info.weights))
    command = [sys.executable, "-m", "unveil", "serve", "--folder", str(folder / "store"), "--port", "0", "--rate", "0"]
    server = subprocess.Popen([*command, "--tokens", str(tokens)], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        found = next(m for line in server.stderr if (m := re.search(r"serving at (http://[^/]+)/", line)))
        threading.Thread(target=server.stderr.read, daemon=True).start()  # its log must not fill the pipe
        target = Target(found[1], psutil.Process(server.pid), callers)
        while target.ask("GET", "/readyz") is None:
            time.sleep(0.2)
        yield target
    finally:
        server.terminate()
        server.wait(60)
        store.close()


def main() -> None:
    """Repeat the attacks and print a table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join(attack.__name__ for attack in ATTACKS)
    asked.add_argument("--only", default="", help=f"some of {names}, parted by commas")
    asked.add_argument("--out", type=Path, default=Path("benchmarks/results/attacks.csv"))
    options = asked.parse_args()
    wanted = [attack for attack in ATTACKS if not options.only or attack.__name__ in options.only.split(",")]
    rows: list[dict[str, object]] = []
    prepare()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, serving(Path(folder)) as target:
        for attack in wanted:
            target.answers.clear()
            begun = time.monotonic()
            target.end_time = begun + LONGEST
            with Watch(target) as watch:
                attack(target)
            broken = sum(n for status, n in target.answers.items() if status.startswith("5") and "again" not in status)
            held = watch.memory < MAX_MEMORY and watch.slowest < MAX_SECONDS and not watch.failed and not broken
            rows.append(
                {
                    "attack": attack.__doc__, "seconds": round(time.monotonic() - begun),
                    "memory, MiB": watch.memory >> 20,
                    "slowest health check, s": round(watch.slowest, 3), "failed checks": watch.failed,
                    "answers": "; ".join(f"{n} x {status}" for status, n in sorted(target.answers.items())),
                    "withstood": "yes" if held else "no", **measured_on(),
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
            write_rows(options.out, rows)
    shown = [name for name in rows[0] if name not in measured_on()]
    print("| " + " | ".join(shown) + " |\n|" + "---|" * len(shown))
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in shown) + " |")


if __name__ == "__main__":
    main()
