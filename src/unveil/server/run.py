"""Running the server: asked to end, it takes no new requests, answers those under way, and ends."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from unveil.errors import UnveilError
from unveil.server.connections import Connections, protocol_of

FINISH_SECONDS = 30
BACKLOG = 256  # connections that wait to be taken
FILES = 4096  # that may be open: connections that are not yet known to be any count too


class Server(uvicorn.Server):
    """Ends in good order on Ctrl-C, SIGTERM and SIGHUP, and returns: what comes after it is done as well."""

    def __init__(self, config: uvicorn.Config, *, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections

    async def on_tick(self, counter: int) -> bool:
        """Do what is to be done ten times per second; return whether to end."""
        self._connections.sweep()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals for as long as the server runs; uvicorn's own would raise them again at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        before = {n: signal.signal(n, self.handle_exit) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        UnveilError: the address is not this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Without it the body of an answer waits 40 ms for the client to acknowledge the headers:
    # asyncio sets it only on sockets that name their protocol.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen(BACKLOG)
    except OSError as e:
        listener.close()
        raise UnveilError(f"cannot listen on {host} port {port}: {e.strerror or e}; try another --port") from None
    return listener


def server_of(app: FastAPI, certificate: Path | None = None, *, key: Path | None = None) -> uvicorn.Server:
    """Return a server of an application; it speaks HTTPS when it has a certificate and its key (PEM files)."""
    connections: Connections = app.state.connections
    _allow_files()
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False, ws="none",
        timeout_graceful_shutdown=FINISH_SECONDS, h11_max_incomplete_event_size=65536,
        http=protocol_of(connections),
        ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
    return Server(config, connections=connections)


def _allow_files() -> None:
    """Raise the limit of open files, as far as the system lets a process do so for itself."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
