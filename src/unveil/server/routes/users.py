"""Users, for admins: who may come in as what, new tokens, and taking them back."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, Field, StringConstraints

from unveil.server.access.tokens import NAME, Caller, Role, TokenInfo, list_tokens, new_token, revoke_token
from unveil.server.routes.names import ERRORS, Admin, TheService
from unveil.server.schemas.base import In
from unveil.server.schemas.case import GalleryIn, Member
from unveil.server.service import Service

router = APIRouter(prefix="/users", tags=["users"], responses=ERRORS)
LONGEST = 10 * 366 * 86_400.0  # seconds that a token may be good for
UserName = Annotated[
    str, StringConstraints(pattern=f"^{NAME.pattern}$"), Path(description="Name of a user, as in the audit log.")
]


class NewUserIn(In):
    """Somebody who is to get a token."""

    name: Member
    role: Role
    galleries: Annotated[tuple[GalleryIn, ...], Field(max_length=200)] = Field((), description="all when empty")
    seconds: Annotated[float, Field(gt=0, le=LONGEST)] | None = Field(None, description="how long it is good for")


class UserOut(BaseModel):
    """A user; times are seconds since the epoch."""

    name: str
    role: Role
    galleries: list[str]
    created: float
    expires: float | None
    used: float | None

    @staticmethod
    def of(token: TokenInfo) -> UserOut:
        """Describe a user."""
        return UserOut(
            name=token.name, role=token.role, galleries=list(token.galleries), created=token.created,
            expires=token.expires, used=token.used,
        )  # fmt: skip


class NewUserOut(BaseModel):
    """The token of a new user; it is shown this once, and kept nowhere."""

    token: str


@router.get("")
def list_users(caller: Admin, service: TheService) -> list[UserOut]:
    """List the users of this server."""
    return [UserOut.of(token) for token in list_tokens(_file(caller, service))]


@router.post("", status_code=201)
def add_user(body: NewUserIn, request: Request, *, caller: Admin, service: TheService) -> NewUserOut:
    """Make a token for somebody; it is shown this once."""
    file = _file(caller, service)
    if any(token.name == body.name for token in list_tokens(file)):
        raise HTTPException(409, f"there is a user {body.name!r} already: take the token back first")
    told: dict[str, object] = {"user": body.name, "as": body.role, "galleries": list(body.galleries)}
    _log(caller, request, service=service, what="add user", details=told)
    return NewUserOut(token=new_token(file, body.name, role=body.role, galleries=body.galleries, seconds=body.seconds))


@router.delete("/{user}", status_code=204)
def remove_user(user: UserName, request: Request, *, caller: Admin, service: TheService) -> None:
    """Take a token back; it is refused from the next request on."""
    file = _file(caller, service)
    if user == caller.name:
        raise HTTPException(422, "nobody takes the own token back here: ask another admin")
    if user not in {token.name for token in list_tokens(file)}:
        raise HTTPException(404, f"no user {user!r}")
    _log(caller, request, service=service, what="remove user", details={"user": user})
    revoke_token(file, user)


def _file(caller: Caller, service: Service) -> FilePath:
    """Return the file of tokens; 404 where there is none, 403 for an admin of some galleries only."""
    if service.settings.tokens is None:
        raise HTTPException(404, "this server has no users: it was started without --tokens")
    if caller.galleries:
        raise HTTPException(403, f"users are of all galleries, {caller.name} may see {', '.join(caller.galleries)}")
    return service.settings.tokens


def _log(caller: Caller, request: Request, *, service: Service, what: str, details: dict[str, object]) -> None:
    service.store.log(
        {
            "who": caller.name, "role": caller.role, "action": "users",
            "details": {"what": what, **details, "request": request.state.request},
        }
    )  # fmt: skip
