"""What a server writes into its data folder when it starts: its process, its folder, its socket; is that still true?"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from unveil.errors import UnveilError

LINES = 8


@dataclass(frozen=True)
class Running:
    """A server as the file ``postmaster.pid`` has it.

    Args:
        pid: its process.
        data: the folder that it serves.
        port: number in the name of its socket.
        sockets: folder of its socket.
        ready: whether it takes connections.
    """

    pid: int
    data: Path
    port: int
    sockets: Path
    ready: bool


def read(data: Path) -> Running | None:
    """Return what the file in a data folder says; ``None`` where there is no file or it is not complete yet.

    Raises:
        UnveilError: the file is that of a server of another folder: this one is a copy.
    """
    try:
        lines = [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return None
    if len(lines) >= 2 and not _same(Path(lines[1]), data):
        raise UnveilError(
            f"{data} is a copy of {lines[1]} made while the server there ran (or was moved while it ran). Opened, it "
            "would change the original, and a copy of files that were being written need not be whole: copy galleries "
            f"with `unveil gallery backup`. Only if {lines[1]} is gone for good, remove {data / 'postmaster.pid'} and "
            "check every gallery with `unveil gallery verify`"
        )
    if len(lines) < LINES:
        return None
    return Running(int(lines[0]), Path(lines[1]), int(lines[3]), Path(lines[4]), lines[7] == "ready")


def forget_the_dead(data: Path, seconds: float) -> None:
    """Remove the pid file of a server that is no more, when the processes it left have gone.

    Raises:
        RuntimeError: they do not go in time.
        UnveilError: the folder is a copy; see `read`.
    """
    import psutil

    read(data)
    file = data / "postmaster.pid"
    lines = file.read_text().splitlines() if file.exists() else []
    if not lines or _serves(int(lines[0]), data):
        return
    # Its children leave within moments; a new server beside them would harm the data.
    deadline = time.monotonic() + seconds
    while any(_serves(process.pid, data) for process in psutil.process_iter()):
        if time.monotonic() > deadline:
            raise RuntimeError("processes of a killed server still run on its data")
        time.sleep(0.02)
    # PostgreSQL does so itself, unless the dead process has not been buried yet, as in many containers.
    file.unlink()
    if len(lines) > 4 and lines[4]:
        for ending in ("", ".lock"):
            (Path(lines[4]) / f".s.PGSQL.{lines[3]}{ending}").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a folder that has more than the socket is not ours
            Path(lines[4]).rmdir()


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _serves(pid: int, data: Path) -> bool:
    """Whether a process is a server of a folder, which is where it works: process ids are used again."""
    import psutil

    try:
        process = psutil.Process(pid)
        return (
            process.name().startswith("postgres")
            and process.status() != psutil.STATUS_ZOMBIE
            and _same(Path(process.cwd()), data)
        )
    except psutil.AccessDenied:
        return process.uids().real == data.stat().st_uid
    except psutil.Error:
        return False
