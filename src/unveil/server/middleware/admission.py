"""Tells the connections how far each request is; on a reserve place only checks of health are answered."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unveil.server.connections import Connections, Phase
from unveil.server.middleware.errors import request_id, send_error
from unveil.server.settings import Limits

HEALTH = ("/healthz", "/readyz")


class AdmissionMiddleware:
    """See the module.

    Args:
        app: what answers.
        connections: those of the server.
        limits: how long a client may take to read an answer.
    """

    def __init__(self, app: ASGIApp, *, connections: Connections, limits: Limits) -> None:
        self._app = app
        self._connections = connections
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        peer = scope.get("client")
        if scope["type"] != "http" or peer is None:
            await self._app(scope, receive, send)
            return
        peer = (peer[0], peer[1])
        names = {name for name, value in scope["headers"] if value != b"0"}
        has_body = bool(names & {b"content-length", b"transfer-encoding"})
        self._connections.at(peer, Phase.NO_BODY if has_body else Phase.WHOLE)

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                self._connections.at(peer, Phase.WHOLE)
            return message

        async def sending(message: Message) -> None:
            try:
                async with asyncio.timeout(self._limits.answer_seconds):
                    await send(message)
            except TimeoutError:
                self._connections.abort(peer)
                raise ConnectionAbortedError("the client does not read what it has asked for") from None

        try:
            if self._connections.in_reserve(peer) and scope["path"] not in HEALTH:
                said, again = "too many connections: try again in a moment", {"Retry-After": "5", "Connection": "close"}
                await send_error(sending, 503, message=said, request=request_id(scope), headers=again)
            else:
                await self._app(scope, receiving, sending)
        finally:
            self._connections.at(peer, Phase.NO_REQUEST)
