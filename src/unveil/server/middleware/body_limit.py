"""Bodies of requests: how large, how long they may take to arrive, and how many bytes may be on their way at once."""

from __future__ import annotations

import asyncio
import re

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unveil.server.middleware.errors import request_id, send_error
from unveil.server.settings import Limits

UPLOADS = re.compile(r"/api/v1/(images|galleries/[^/]+/(items|plan|uploads/[^/]+))")
RETRY_SECONDS = 5


class BodyLimitMiddleware:
    """Holds every body to the limits, whatever the client says about its length.

    Args:
        app: what answers.
        limits: sizes and times.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._arriving = 0  # bytes of bodies of requests that are not answered yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._limits.upload if UPLOADS.fullmatch(scope["path"]) else self._limits.body
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > most:
            await send_error(send, 413, message=_too_large(most), request=request_id(scope))
            return
        deadline = asyncio.get_running_loop().time() + self._limits.upload_seconds
        seen, complete = 0, False

        async def counted() -> Message:
            nonlocal seen, complete
            if complete:  # what follows is the word that the client has gone, however late
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                said = f"the body did not arrive within {self._limits.upload_seconds:g} seconds"
                raise HTTPException(408, said, {"Connection": "close"}) from None
            size = len(message.get("body", b""))
            seen += size
            self._arriving += size
            complete = message["type"] == "http.disconnect" or not message.get("more_body")
            if seen > most:
                raise HTTPException(413, _too_large(most), {"Connection": "close"})
            if self._arriving > self._limits.arriving:
                raise HTTPException(
                    503,
                    "too many bodies arrive at once: try again in a moment",
                    {"Retry-After": str(RETRY_SECONDS), "Connection": "close"},
                )
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._arriving -= seen


def _too_large(most: int) -> str:
    return f"the body is too large: expected at most {most:,} bytes"
