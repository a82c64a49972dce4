"""Gives every request an id, counts it, and writes a line about it into the log; a failure inside is an error 500."""

from __future__ import annotations

import logging
import re
import time
import uuid
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unveil.server.metrics import Metrics
from unveil.server.middleware.errors import send_error

log = logging.getLogger("unveil.server")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class RequestLogMiddleware:
    """See the module.

    Args:
        app: what answers.
        metrics: what is counted.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request = asked if REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex
        scope.setdefault("state", {})["request"] = request
        begun = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request.encode())]
            await send(message)

        self._metrics.under_way.inc()
        try:
            await self._app(scope, receive, answer)
        except ConnectionError as e:
            log.info("request %s: %s", request, e)
        except Exception:
            log.exception("request %s failed", request)
            if not status:
                await send_error(answer, 500, message="the server failed; its log says why", request=request)
        finally:
            self._metrics.under_way.dec()
            seconds = time.perf_counter() - begun
            route = getattr(scope.get("endpoint"), "__name__", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(route, method, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            who = scope["state"].get("caller", "-")
            # The path is decoded: as it is, anybody could write lines and a terminal's commands into the log.
            path = quote(scope["path"])
            log.info("%s %s %s %s %d %.0f ms", request, who, scope["method"], path, status, 1000 * seconds)
