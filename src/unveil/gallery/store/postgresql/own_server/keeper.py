"""A small process beside an own PostgreSQL server: starts it, and stops it when the last process that uses it has gone.

Every process that uses the server holds a shared lock on one file. The system takes the lock from a process that ends,
whatever ended it, so the keeper needs no list of processes and no goodbye from any of them. It is run by its path and
imports nothing but the standard library: it lives as long as the server and should weigh nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_STOP = 60.0  # a fast shutdown writes what is in memory; after that it is cut short, and recovers at a start
SECONDS_TO_CUT = 10.0


def process_of(data: Path) -> int | None:
    """Return the process id that the server of a data folder wrote into it; ``None`` where there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    return None


def stop_server(data: Path, pid: int | None) -> None:
    """Stop the server of a data folder, and wait until it has gone.

    Args:
        data: its data folder.
        pid: its process.
    """
    for number, seconds in ((signal.SIGINT, SECONDS_TO_STOP), (signal.SIGQUIT, SECONDS_TO_CUT)):
        if pid is None or not _signalled(pid, number):
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # It removes the file when it has ended well; a process that is gone cannot be signalled.
            if process_of(data) != pid or not _signalled(pid, 0):
                return
            time.sleep(0.02)


def _signalled(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def keep(
    data: Path, sockets: Path, *, command: list[str] | None, user: list[int] | None, temporary: bool = False
) -> None:
    """Start the server, or adopt one that runs, and stay until it has ended or nobody uses it.

    Args:
        data: its data folder; the files of locks lie beside it.
        sockets: folder of its socket, removed in the end.
        command: what starts it; ``None`` when it runs already.
        user: user and group id to run it as; ``None`` for one's own.
        temporary: whether the folder above the data goes with the server.
    """
    server = None
    if command is not None:
        identity: dict[str, Any] = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
        with (data / "log").open("ab") as log:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **identity)
    pid = process_of(data) if server is None else server.pid
    mutex = (data.parent / f".{data.name}.lock").open("a")
    users = (data.parent / f".{data.name}.users.lock").open("a+")
    while pid is not None and _lives(pid, server, seconds=SECONDS_BETWEEN_LOOKS):
        # With the first lock nobody is about to start or attach; with the second nobody uses the server.
        with _held(mutex) as alone:
            if not alone:
                continue
            with _held(users) as unused:
                if unused:
                    stop_server(data, pid)
                    if server:
                        server.wait()
                    break
    for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (sockets / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        sockets.rmdir()
    if temporary:
        shutil.rmtree(data.parent, ignore_errors=True)


def _lives(pid: int, server: subprocess.Popen[bytes] | None, *, seconds: float) -> bool:
    """Wait for a server to end; return whether it lives after that time."""
    if server is None:
        time.sleep(seconds)
        return _signalled(pid, 0)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(seconds)
    return server.poll() is None


@contextlib.contextmanager
def _held(file):  # type: ignore[no-untyped-def]
    """Give whether a lock could be had at once; it is let go afterwards."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


if __name__ == "__main__":
    # The terminal's signals are for the processes that use the server.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    given = json.loads(sys.argv[1])
    keep(
        Path(given["data"]),
        Path(given["sockets"]),
        command=given["command"],
        user=given["user"],
        temporary=given["temporary"],
    )
