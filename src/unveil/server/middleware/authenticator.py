"""Who may do what: a bearer token in the Authorization header, a role for each route, a rate for each caller.

A token travels in a header that no browser adds by itself, so a foreign page cannot act in somebody's name and no
CSRF token is needed; `OriginMiddleware` refuses foreign pages where there are no tokens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from unveil.server.access.tokens import Caller, Role, Tokens
from unveil.server.middleware.rate_limiter import RateLimiter, retry_after
from unveil.server.settings import Limits

LOCAL = Caller("local", "admin")
_bearer = HTTPBearer(auto_error=False, description="A token made by `unveil serve --new-token`.")


class Authenticator:
    """Knows the callers and how often each asked.

    Args:
        tokens: the tokens; ``None`` lets everybody in as admin (the server is then reachable from loopback only).
        limits: the rates.
    """

    def __init__(self, tokens: Tokens | None, limits: Limits) -> None:
        self.tokens = tokens
        self._rate = RateLimiter(limits.rate, limits.burst)
        self._refused = RateLimiter(limits.refused, limits.refused)

    def caller(self, address: str, token: str | None) -> Caller:
        """Return who asks.

        Raises:
            HTTPException: 401 for no or a wrong token, 429 for too many wrong ones from one address.
        """
        if self.tokens is None:
            return LOCAL
        found = self.tokens.find(token) if token else None
        if found:
            return found
        wait = self._refused.take(address)
        if wait:
            raise HTTPException(429, "too many failed sign-ins from this address", {"Retry-After": retry_after(wait)})
        message = (
            "this token is not known, or has expired" if token else "expected a token: 'Authorization: Bearer ...'"
        )
        raise HTTPException(401, message, {"WWW-Authenticate": "Bearer"})

    def slow_down(self, caller: Caller, address: str, *, cost: float) -> None:
        """Count a request.

        Raises:
            HTTPException: 429, too many.
        """
        wait = self._rate.take(address if self.tokens is None else f"token {caller.name}", cost)
        if wait:
            raise HTTPException(429, f"too many requests: wait {wait:.1f} seconds", {"Retry-After": retry_after(wait)})


def require(role: Role, cost: float = 1.0) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency that lets callers of at least this role through.

    Args:
        role: the least role.
        cost: what a request takes from the caller's rate: 1 for work, less for what is only read.
    """

    async def caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Caller:
        authenticator: Authenticator = request.app.state.service.authenticator
        address = request.client.host if request.client else "unknown"
        found = authenticator.caller(address, credentials.credentials if credentials else None)
        request.state.caller = found.name
        authenticator.slow_down(found, address, cost=cost)
        if not found.may(role):
            raise HTTPException(403, f"this needs the role {role}; {found.name} is {found.role}")
        return found

    return caller
