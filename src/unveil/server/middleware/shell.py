"""What surrounds every request: its id, the size of its body, safe headers, one shape of errors, a line in the log."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unveil.server.metrics import Metrics
from unveil.server.settings import Limits, is_loopback

log = logging.getLogger("unveil.server")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UPLOADS = re.compile(r"/api/v1/(pictures|galleries/[^/]+/items)")
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob: data:",
        "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Shell:
    """Innermost to the server, outermost to the application.

    Args:
        app: the application.
        limits: sizes of bodies.
        metrics: what is counted.
        open_door: there are no tokens, so only this machine's own browser and programs may ask.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics, open_door: bool) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._open_door = open_door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        asked = headers.get("x-request-id", "")
        request = asked if REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex
        scope.setdefault("state", {})["request"] = request
        begun = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name.lower() for name, _ in message["headers"]}
                more = {**HEADERS, "x-request-id": request, "cache-control": "no-store"}
                message["headers"] = [
                    *message["headers"],
                    *((n.encode(), v.encode()) for n, v in more.items() if n.encode() not in own),
                ]
            await send(message)

        self._metrics.under_way.inc()
        try:
            refusal = self._refusal(scope, headers)
            if refusal:
                await answer_error(answer, *refusal, request)
            else:
                await self._app(scope, self._counted(scope, receive), answer)
        except Exception:
            log.exception("request %s failed", request)
            if not status:
                await answer_error(answer, 500, "the server failed; its log says why", request)
        finally:
            self._metrics.under_way.dec()
            seconds = time.perf_counter() - begun
            route = getattr(scope.get("endpoint"), "__name__", "none")
            self._metrics.requests.labels(route, _method(scope), str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            who = scope["state"].get("caller", "-")
            log.info("%s %s %s %s %d %.0f ms", request, who, scope["method"], scope["path"], status, 1000 * seconds)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Return status and reason where a request must not reach the application."""
        host = headers.get("host", "")
        origin = headers.get("origin")
        if self._open_door:
            if not is_loopback(_name_of(host)):
                # Otherwise a page of another site could reach this server under a name of its own (DNS rebinding).
                return 403, f"without tokens only this machine may ask, under a loopback name, not {host[:100]!r}"
            if "forwarded" in headers or "x-forwarded-for" in headers:
                return 403, "without tokens no proxy may stand in front: start the server with --tokens"
            if headers.get("sec-fetch-site") == "cross-site" and scope["path"].startswith("/api/"):
                return 403, "a page of another site may not ask"
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and origin and origin.partition("://")[2] != host:
            return 403, "a page of another site may not ask"
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._most(scope):
            return 413, self._too_large(scope)
        return None

    def _most(self, scope: Scope) -> int:
        return self._limits.upload if UPLOADS.fullmatch(scope["path"]) else self._limits.body

    def _too_large(self, scope: Scope) -> str:
        return f"the body is too large: expected at most {self._most(scope):,} bytes"

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        """Return a ``receive`` that stops at the limit, whatever the client said about the length."""
        seen, most = 0, self._most(scope)

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(413, self._too_large(scope))
            return message

        return counted


async def answer_error(send: Send, status: int, message: str, request: str) -> None:
    """Send an error in the one shape that all errors have."""
    body = json.dumps(error_body(message, request)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 413:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def error_body(message: str, request: str, anyway: bool = False) -> dict[str, Any]:
    """Return the one shape that all errors have; ``anyway``: the same request is answered with "anyway" set."""
    return {"error": message, "request": request} | ({"anyway": True} if anyway else {})


def _name_of(host: str) -> str:
    """Return the host without its port; brackets of IPv6 stay."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"
