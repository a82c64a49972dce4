"""A real HTTP(S) server on this machine that offers files, resumes them, and misbehaves as it is told."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is offered and what was asked.

    Args:
        files: path -> content.
        cuts: number of bytes after which each of the next replies ends, in order.
        statuses: status that each of the next replies has in place of a file, in order.
        redirects: path -> where it redirects to.
        claimed: path -> length that the header claims in place of the true one.
        ranges: whether parts of a file are given.
        lengths: whether replies say how long they are.
        stall: while it is clear, replies wait after half of the file.
        headers: more headers of every file.
        requests: path and headers of every request so far.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    lengths: bool = True
    stall: threading.Event = field(default_factory=threading.Event)
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stall.set()


class _Handler(BaseHTTPRequestHandler):
    offer: FileServer

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        offer = self.offer
        # A proxy is asked for the whole address; what it gives is the same.
        path = self.path if self.path.startswith("/") else "/" + self.path.split("/", 3)[3]
        offer.requests.append((self.path, dict(self.headers.items())))
        if path in offer.redirects:
            self.send_response(302)
            self.send_header("Location", offer.redirects[path])
            self.end_headers()
            return
        if offer.statuses or path not in offer.files:
            self.send_error(offer.statuses.pop(0) if offer.statuses else 404)
            return
        content = offer.files[path]
        tag = f'"{hashlib.sha256(content).hexdigest()[:12]}"'
        start = 0
        if offer.ranges and "Range" in self.headers and self.headers.get("If-Range", tag) == tag:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", tag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if offer.lengths:
            self.send_header("Content-Length", str(offer.claimed.get(path, len(content) - start)))
        for name, value in offer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        rest = content[start:]
        if offer.cuts:
            self.wfile.write(rest[: offer.cuts.pop(0)])
            return
        self.wfile.write(rest[: len(rest) // 2])
        self.wfile.flush()
        offer.stall.wait(timeout=20)
        self.wfile.write(rest[len(rest) // 2 :])


@contextmanager
def serve_files(context: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """Serve on a free port, encrypted where a context is given."""
    offer = FileServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"offer": offer}))
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    offer.address = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield offer
    finally:
        offer.stall.set()
        server.shutdown()
        server.server_close()
        thread.join()
