"""Start the server of a folder or attach to it, and leave it: the last process that leaves stops it."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from unveil.atomic_io import atomic_folder, locked
from unveil.errors import MissingExtraError, UnveilError
from unveil.gallery.store.postgresql.own_server import binaries, keeper, pidfile

# Checkpoints come often, so that a server that was killed is back within moments.
# Nothing is replicated, so the write-ahead log may be small, and its files are removed rather than used again: bytes
# of a removed person must not stay in them.
SETTINGS = """
shared_buffers = 256MB
maintenance_work_mem = 512MB
max_wal_size = 256MB
checkpoint_timeout = 1min
checkpoint_warning = 0
wal_level = minimal
max_wal_senders = 0
wal_recycle = off
log_min_error_statement = panic
enable_partitionwise_join = on
"""
# After a kill every file is synchronised first: one call for all of them, where the system has it.
SETTINGS += "recovery_init_sync_method = syncfs\n" if sys.platform == "linux" else ""
SECONDS_TO_START = 60.0
STARTS = 3  # what a killed server left may be in the way of the first
LONGEST_SOCKET = 100  # characters; the shortest limit of a system is 104
PORT = 5432  # only a part of the socket's name


@dataclass
class _Use:
    """Our share in a running server: a lock that says so, and the process that holds it (children do not count)."""

    users: IO[str]
    process: int
    keeper: subprocess.Popen[bytes] | None = None


_uses: dict[Path, _Use] = {}
_changing = threading.Lock()


def default_folder() -> Path:
    """Return where galleries are kept: ``$UNVEIL_GALLERIES``, else ``unveil/galleries`` in the user's data folder."""
    named = os.environ.get("UNVEIL_GALLERIES")
    base = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return Path(named) if named else base / "unveil" / "galleries"


def start(folder: Path, *, temporary: bool = False) -> str:
    """Start the server of a folder, or attach to the running one; return its connection string.

    Args:
        folder: where its data are, or will be.
        temporary: whether the folder goes when the server stops, however this process ends.

    Raises:
        MissingExtraError: the server is not installed.
        UnveilError: it cannot be started, or the folder is a copy of one whose server runs.
    """
    try:
        import fcntl

        import psutil  # noqa: F401
        import psycopg
    except ImportError as e:
        if e.name == "fcntl":
            raise UnveilError(
                "an own PostgreSQL needs Linux, macOS or the like: name a server with --store postgresql://..."
            ) from None
        raise MissingExtraError("an own PostgreSQL server", "gallery") from e
    data = _data(folder)
    with _changing, locked(data):
        try:
            if not data.exists():
                _initialise(data)
            _check_version(data)
            binaries.hand_over(data)
            use = _uses.get(data)
            users = data.parent / f".{data.name}.users.lock"
            if use is None or use.process != os.getpid() or not _is_open(use.users, users):
                use = _uses[data] = _Use(users.open("a+"), os.getpid())
                fcntl.flock(use.users, fcntl.LOCK_SH)
            return _answering(data, use, temporary=temporary)
        except (OSError, subprocess.SubprocessError, RuntimeError, psycopg.Error) as e:
            raise UnveilError(
                f"the own PostgreSQL server in {data} does not start: {_reason(e, data)}; see {data / 'log'}"
            ) from e


def stop(folder: Path) -> None:
    """Leave the server of a folder; the last process that leaves stops it and waits until it has gone."""
    import fcntl

    data = _data(folder)
    with _changing, locked(data):
        use = _uses.get(data)
        if use is None or use.process != os.getpid():  # a child that was forked has our files, and no say
            return
        del _uses[data]
        with use.users:
            try:
                fcntl.flock(use.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return  # others use it
            keeper.stop_server(data, keeper.process_of(data))
    if use.keeper is not None:
        use.keeper.wait(keeper.SECONDS_TO_STOP)


@atexit.register
def _leave() -> None:
    for data in list(_uses):
        if data.parent.is_dir():  # tests and users remove folders
            stop(data.parent)


def _is_open(file: IO[str], path: Path) -> bool:
    """Whether a path still leads to an open file: folders are removed and made again."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _data(folder: Path) -> Path:
    return folder.expanduser().resolve() / "postgres"


def _initialise(data: Path) -> None:
    """Make the data folder, which appears when it is whole."""
    user = binaries.owner_of(data)
    with atomic_folder(data) as fresh:
        binaries.give_way(fresh, user)
        binaries.give_way(binaries.program("initdb"), user)
        if user is not None:
            os.chown(fresh, *user)
        command: list[str | Path] = [binaries.program("initdb"), "--auth=trust", "--encoding=utf8", "--no-locale"]
        command += ["-U", "postgres", "-D", fresh]
        made = subprocess.run(
            command, capture_output=True, text=True, errors="replace", cwd="/", **binaries.as_user(user)
        )
        if made.returncode:
            raise RuntimeError(f"initdb: {made.stderr.strip()}")
        with (fresh / "postgresql.conf").open("a") as file:
            file.write(SETTINGS)


def _check_version(data: Path) -> None:
    version = (data / "PG_VERSION").read_text().strip()
    if version != str(binaries.VERSION):
        raise RuntimeError(f"it was made by PostgreSQL {version}, this is {binaries.VERSION}")


def _answering(data: Path, use: _Use, *, temporary: bool) -> str:
    """Start a server or attach to it; return its connection string when it answers and is the one of this folder."""
    import psycopg

    deadline = time.monotonic() + SECONDS_TO_START
    said: Exception | str = "it is not ready"
    starts = 0
    while time.monotonic() < deadline:
        pidfile.forget_the_dead(data, SECONDS_TO_START)
        running = pidfile.read(data)
        if not _is_kept(data):
            if starts == STARTS:
                raise RuntimeError("it ended at once")
            _start_keeper(data, use, running=running, temporary=temporary)
            starts += 1
        # A server that has much to recover answers late, and one that was killed this moment still looks alive.
        if running is not None and running.ready:
            address = f"postgresql://postgres@/postgres?host={quote(str(running.sockets))}&port={running.port}"
            try:
                with psycopg.connect(address, connect_timeout=5) as connection:
                    served = connection.execute("SELECT current_setting('data_directory')").fetchone()
                if served is not None and Path(served[0]).samefile(data):
                    return address
                said = f"its socket belongs to the server of {served and served[0]}"
            except psycopg.OperationalError as e:
                said = e
        time.sleep(0.05)
    raise RuntimeError(f"it does not answer within {SECONDS_TO_START:g} s: {said}")


def _is_kept(data: Path) -> bool:
    """Whether a keeper lives: it holds a lock for as long as it does."""
    import fcntl

    with (data.parent / f".{data.name}.keeper.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _start_keeper(data: Path, use: _Use, *, running: pidfile.Running | None, temporary: bool) -> None:
    """Start what starts and stops the server; it adopts one that runs without (its keeper was killed)."""
    import fcntl

    user = binaries.owner_of(data)
    command = None
    if running is None and not (data / "postmaster.pid").exists():
        binaries.give_way(binaries.program("postgres"), user)
        binaries.give_way(data, user)
        sockets = _socket_folder(user)
        settings = ("-c", f"unix_socket_directories={sockets}", "-c", f"port={PORT}", "-c", "listen_addresses=")
        command = [str(binaries.program("postgres")), "-D", str(data), *settings]
    elif running is None:
        return  # it starts at this moment
    else:
        sockets = running.sockets
    told = {"data": str(data), "sockets": str(sockets), "command": command, "user": user, "temporary": temporary}
    with (data.parent / f".{data.name}.keeper.lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it keeps the lock that we take
        use.keeper = subprocess.Popen(
            [sys.executable, "-I", keeper.__file__, json.dumps(told)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
            pass_fds=(file.fileno(),), start_new_session=True,
        )  # fmt: skip


def _socket_folder(user: tuple[int, int] | None) -> Path:
    """Return a new folder for a socket that only its user can enter; its name is in the server's pid file.

    Its name is a random one, so nobody can be there before us.
    """
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        # A list of folders is parted by commas, in PostgreSQL's settings and in addresses.
        if not base or not os.access(base, os.W_OK | os.X_OK) or set(base) & set(",\"'"):
            continue
        if len(base) + len("/unveil-12345678/.s.PGSQL.5432") > LONGEST_SOCKET:
            continue
        folder = Path(tempfile.mkdtemp(prefix="unveil-", dir=base))
        if user is not None:
            os.chown(folder, *user)
            binaries.give_way(folder, user)
        return folder
    raise RuntimeError(
        f"found no folder for its socket: expected one whose name has fewer than {LONGEST_SOCKET} characters and no "
        "comma in $XDG_RUNTIME_DIR, $TMPDIR or /tmp"
    )


def _reason(e: Exception, data: Path) -> str:
    log = data / "log"
    said = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    return "; ".join([str(e), *said])
