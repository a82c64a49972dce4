"""The connections of a server: how many, from where, and which of them must give way.

A client that has a place has one to send its request on, not for ever: one that sends nothing is cut off, and where
places are short, whoever has sent least of a request goes first. What is left for everybody, whatever happens to the
rest, are some places on which only the checks of health are answered.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from unveil.server.settings import Limits

Peer = tuple[str, int]  # address and port: names a connection for as long as it lives


class Phase(IntEnum):
    """How much of a request has come; those of a lower phase give way first."""

    NO_REQUEST = 0
    NO_BODY = 1
    WHOLE = 2


@dataclass
class _Connection:
    transport: asyncio.Transport
    since: float
    reserve: bool
    phase: Phase = Phase.NO_REQUEST


class Connections:
    """Knows all connections; used by the loop of one server only.

    Args:
        limits: how many, and how long a request may take to begin.
        clock: seconds, never going back.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._open: dict[Peer, _Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, peer: Peer, transport: asyncio.Transport) -> None:
        """Take in a connection, or cut it off where there is no place for it."""
        reserve = False
        crowd = self._crowd(peer[0])
        if crowd is not None:
            idle = min((c for c in crowd if c.phase < Phase.WHOLE), key=lambda c: (c.phase, c.since), default=None)
            if idle is not None:
                self._cut(idle)
            elif sum(c.reserve for c in self._open.values()) < self._limits.reserve:
                reserve = True
            else:
                transport.abort()
                return
        self._open[peer] = _Connection(transport, self._clock(), reserve)

    def closed(self, peer: Peer) -> None:
        """Forget a connection."""
        self._open.pop(peer, None)

    def at(self, peer: Peer, phase: Phase) -> None:
        """Note how far the request of a connection is; `NO_REQUEST` when it has been answered."""
        if peer in self._open:
            self._open[peer].phase = phase
            self._open[peer].since = self._clock()

    def in_reserve(self, peer: Peer) -> bool:
        """Whether a connection has a place for the checks of health only."""
        return peer in self._open and self._open[peer].reserve

    def abort(self, peer: Peer) -> None:
        """Cut off a connection."""
        if peer in self._open:
            self._cut(self._open[peer])

    def sweep(self) -> None:
        """Cut off the connections on which no request has come in time."""
        late = self._clock() - self._limits.header_seconds
        for connection in list(self._open.values()):
            if connection.phase == Phase.NO_REQUEST and connection.since < late:
                self._cut(connection)

    def _crowd(self, address: str) -> list[_Connection] | None:
        """Return the connections of which one must give way to a new one; ``None`` where there is a place."""
        counts = Counter(peer[0] for peer, c in self._open.items() if c.phase < Phase.WHOLE)
        of_address = [c for peer, c in self._open.items() if peer[0] == address]
        if self._limits.connections_per_address and len(of_address) >= self._limits.connections_per_address:
            return of_address
        if len(self._open) < self._limits.connections:
            return None
        most = max(counts, key=counts.__getitem__, default=address)  # nobody pays for another's crowd
        return [c for peer, c in self._open.items() if peer[0] == most]

    def _cut(self, connection: _Connection) -> None:
        connection.transport.abort()
        for peer in [peer for peer, c in self._open.items() if c is connection]:
            del self._open[peer]


def protocol_of(connections: Connections) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, so that connections are known from their beginning to their end."""

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client:
                connections.opened(self.client, transport)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.client:
                connections.closed(self.client)

        def data_received(self, data: Any) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            # No browser sends a request before the last one was answered; one connection's hundred would keep the loop
            # from all others. The first is answered, and the connection closed.
            if self.conn.their_state is h11.DONE and self.conn.trailing_data[0] and self.cycle is not None:
                self.cycle.keep_alive = False

    return Protocol
