"""Who stands behind a request: pages of other sites are refused, and without tokens everything but this machine."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from unveil.server.middleware.errors import request_id, send_error
from unveil.server.settings import is_loopback

# Any of these says that somebody else's request is passed on: what asks from this machine is then a proxy.
PROXY_HEADERS = (
    "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-remote-ip", "x-remote-addr",
    "x-originating-ip", "x-proxyuser-ip", "client-ip", "true-client-ip", "fastly-client-ip", "x-appengine-user-ip",
    "x-azure-clientip", "x-azure-socketip", "x-amzn-trace-id", "cdn-loop", "x-request-start", "x-scheme",
    "proxy-connection", "proxy-authorization",
)  # fmt: skip
PROXY_PREFIXES = ("x-forwarded", "x-original-", "x-envoy-", "x-proxy-", "cf-")


class OriginMiddleware:
    """See the module.

    Args:
        app: what answers.
        auth_disabled: there are no tokens, so only this machine's own browser and programs may ask.
    """

    def __init__(self, app: ASGIApp, *, auth_disabled: bool) -> None:
        self._app = app
        self._auth_disabled = auth_disabled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http":
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            refusal = self._refusal(scope, headers)
            if refusal:
                await send_error(send, 403, message=refusal, request=request_id(scope))
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> str:
        """Return why a request must not reach the application; empty when it may."""
        host = headers.get("host", "")
        origin = headers.get("origin")
        if self._auth_disabled:
            if not is_loopback(_name_of(host)):
                # Otherwise a page of another site could reach this server under a name of its own (DNS rebinding).
                return f"without tokens only this machine may ask, under a loopback name, not {host[:100]!r}"
            if passed_on := sorted(name for name in headers if _is_a_proxys(name)):
                return (
                    f"without tokens no proxy may stand in front, and {passed_on[0]!r} is a proxy's: start the server "
                    "with --tokens"
                )
            if headers.get("sec-fetch-site") == "cross-site" and scope["path"].startswith("/api/"):
                return "a page of another site may not ask"
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and origin and origin.partition("://")[2] != host:
            return "a page of another site may not ask"
        return ""


def _is_a_proxys(header: str) -> bool:
    return header in PROXY_HEADERS or header.startswith(PROXY_PREFIXES)


def _name_of(host: str) -> str:
    """Return the host without its port; brackets of IPv6 stay."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
