"""The one shape that all errors of the API have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Send


def error_body(message: str, request: str, *, skip_person_check: bool = False) -> dict[str, Any]:
    """Return the body of an error.

    Args:
        message: what went wrong.
        request: id of the request, to be found in the server's log.
        skip_person_check: the same request is answered with "skip_person_check" set.
    """
    return {"error": message, "request": request} | ({"skip_person_check": True} if skip_person_check else {})


async def send_error(
    send: Send, status: int, *, message: str, request: str, headers: Mapping[str, str] | None = None
) -> None:
    """Send an error.

    Args:
        send: of the request (ASGI).
        status: HTTP status.
        message: what went wrong.
        request: id of the request.
        headers: more headers.
    """
    body = json.dumps(error_body(message, request)).encode()
    more = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    if status == 413:
        more["connection"] = "close"
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(n.encode(), v.encode()) for n, v in more.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})


def request_id(scope: Mapping[str, Any]) -> str:
    """Return the id of a request (ASGI); `RequestLogMiddleware` gave it one."""
    return str(scope["state"]["request"])
