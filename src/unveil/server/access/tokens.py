"""The file of tokens: who may come in, as what. It holds SHA-256 hashes only; a token is shown once, when it is made.

A token carries 256 random bits, so its plain SHA-256 can be kept: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unveil.atomic_io import locked, write_text
from unveil.errors import UnveilError, nearest

Role = Literal["reader", "operator", "admin"]
log = logging.getLogger("unveil.server")
ROLES: tuple[Role, ...] = ("reader", "operator", "admin")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
MAX_BYTES = 1_000_000


class Caller(NamedTuple):
    """Who makes a request, as what, and in which galleries; in all where none is named."""

    name: str
    role: Role
    galleries: tuple[str, ...] = ()

    def may(self, role: Role) -> bool:
        """Return whether the caller's role includes another."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def may_see(self, gallery: str) -> bool:
        """Return whether the caller has any rights in a gallery."""
        return not self.galleries or gallery in self.galleries


class _Token(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    role: Role
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: float = 0.0
    expires: float | None = None
    galleries: tuple[str, ...] = ()

    def expired(self, now: float) -> bool:
        return self.expires is not None and now >= self.expires


class TokenInfo(NamedTuple):
    """What is known of a token: all but the token. Times are seconds since the epoch."""

    name: str
    role: Role
    galleries: tuple[str, ...]
    created: float
    expires: float | None
    used: float | None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1, 2] = 2  # a file of 1 has tokens for all galleries that do not expire
    tokens: tuple[_Token, ...] = ()


def new_token(
    path: Path, name: str, *, role: str, galleries: tuple[str, ...] = (), seconds: float | None = None
) -> str:
    """Add a token to the file, which is made when it is missing.

    Args:
        path: the file of tokens.
        name: whom the token is for; it stands in the audit log.
        role: "reader" (search), "operator" (also index and export) or "admin" (also delete and audit).
        galleries: that it opens; all when empty.
        seconds: how long it is good for; ``None``: until it is taken back.

    Returns:
        The token. It is kept nowhere.

    Raises:
        UnveilError: no such role, a name that is taken or is none, or a damaged file.
    """
    if role not in ROLES:
        raise UnveilError(f"no role {role!r}{nearest(role, ROLES)}: expected {', '.join(ROLES)}")
    if not NAME.fullmatch(name):
        raise UnveilError(f"{name!r} is no name of a token: 1 to 64 letters, digits and . _ @ - are, a letter first")
    token = f"unveil_{secrets.token_urlsafe(32)}"
    with locked(path):
        known = _read(path).tokens if path.exists() else ()
        if any(t.name == name and not t.expired(time.time()) for t in known):
            raise UnveilError(f"{path} has a token for {name!r} already; take it back first (--revoke-token {name})")
        now = time.time()
        expires = None if seconds is None else now + seconds
        made = _Token(name=name, role=role, sha256=_hash(token), created=now, expires=expires, galleries=galleries)
        _write(path, (*(t for t in known if t.name != name), made))
    return token


def revoke_token(path: Path, name: str) -> None:
    """Remove a token from the file; a running server refuses it from its next request on.

    Raises:
        UnveilError: there is no token of that name.
    """
    with locked(path):
        known = _read(path).tokens
        if all(t.name != name for t in known):
            names = [t.name for t in known]
            raise UnveilError(f"{path} has no token for {name!r}{nearest(name, names)}; it has: {', '.join(names)}")
        _write(path, tuple(t for t in known if t.name != name))


def list_tokens(path: Path) -> list[TokenInfo]:
    """Return what is known of the tokens of a file, by name, with their last use as a server noted it.

    Raises:
        UnveilError: the file is gone or damaged.
    """
    used = _read_use(path)
    found = [TokenInfo(t.name, t.role, t.galleries, t.created, t.expires, used.get(t.name)) for t in _read(path).tokens]
    return sorted(found)


class Tokens:
    """The tokens of a file, read again when the file changes.

    Args:
        path: the file. When each was used last is noted beside it, in a file with the ending ``.used``.
        clock: seconds since the epoch.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._known: dict[str, _Token] = {}
        self._used: dict[str, float] = {}
        self._refresh()

    def find(self, token: str) -> Caller | None:
        """Return whose token this is; ``None`` when it is nobody's.

        Raises:
            UnveilError: the file is gone or damaged.
        """
        with self._lock:
            self._refresh()
            # Looked up by its hash: how long that takes says nothing about a token.
            found = self._known.get(_hash(token))
            now = self._clock()
            if found is None or found.expired(now):
                return None
            self._used[found.name] = now
            return Caller(found.name, found.role, found.galleries)

    def note_use(self) -> None:
        """Write down when each token was used last; where the folder cannot be written, only say so."""
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        path = _use_of(self._path)
        try:
            with locked(path):
                write_text(path, json.dumps(_read_use(self._path) | used, indent=1) + "\n", private=True)
        except UnveilError as e:
            log.warning("the last use of tokens cannot be noted: %s", e)

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except OSError as e:
            raise UnveilError(f"the file of tokens {self._path} cannot be read: {e.strerror or e}") from None
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._known = {t.sha256: t for t in _read(self._path).tokens}
            self._stamp = stamp


def _use_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.used")


def _read_use(path: Path) -> dict[str, float]:
    """Return when tokens were used last; a damaged file only loses that."""
    try:
        with _use_of(path).open("rb") as file:
            found = json.loads(file.read(MAX_BYTES))
        return {str(name): float(when) for name, when in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> _File:
    try:
        with path.open("rb") as f:
            return _File.model_validate_json(f.read(MAX_BYTES))
    except OSError as e:
        raise UnveilError(f"the file of tokens {path} cannot be read: {e.strerror or e}") from None
    except ValidationError as e:
        raise UnveilError(f"{path} is not a file of tokens: {e.errors()[0]['msg']}") from None


def _write(path: Path, tokens: tuple[_Token, ...]) -> None:
    write_text(path, json.dumps(_File(tokens=tokens).model_dump(mode="json"), indent=2) + "\n", private=True)
