"""Connections to PostgreSQL: shared between threads, with a time limit, and one clear error for whatever goes wrong."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from unveil.errors import MissingExtraError, UnveilError

if TYPE_CHECKING:
    import psycopg

SECONDS_TO_CONNECT = 5
SECONDS_TO_ANSWER = 60.0
MOST_CONNECTIONS = 16


class Connections:
    """A few connections to one database.

    Args:
        address: gives the connection string; called again when the server is gone, so that an own server can be
            started anew.
        seconds: how long a transaction may take.
    """

    def __init__(self, address: Callable[[], str], seconds: float = SECONDS_TO_ANSWER) -> None:
        try:
            import psycopg
        except ImportError as e:
            raise MissingExtraError("the store of galleries", "gallery") from e
        self._psycopg = psycopg
        self._address = address
        self._dsn = address()
        self.seconds = seconds
        self.search_path = "unveil, public"
        self._idle: list[psycopg.Connection] = []
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)

    @property
    def where(self) -> str:
        """Where the server is, without the password."""
        try:
            parts = self._psycopg.conninfo.conninfo_to_dict(self._dsn)
        except self._psycopg.Error:
            return "the address given"
        return f"{parts.get('host', 'localhost')}/{parts.get('dbname', '')}"

    def close(self) -> None:
        """Close the idle connections; those in use close when they are given back."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def transaction(self, seconds: float | None = None) -> Iterator[psycopg.Cursor]:
        """Give a cursor in a transaction that is kept when the block ends well.

        Args:
            seconds: time limit; the store's own by default.

        Raises:
            UnveilError: the server is down, too slow, full or refuses; nothing of the transaction was kept.
        """
        with self._connection(seconds or self.seconds) as connection, connection.transaction():
            cursor = connection.cursor()
            limit = int(1000 * (seconds or self.seconds))
            cursor.execute(
                "SELECT set_config('search_path', %s, true), set_config('statement_timeout', %s, true)",
                (self.search_path, str(limit)),
            )
            yield cursor

    @contextmanager
    def outside(self) -> Iterator[psycopg.Cursor]:
        """Give a cursor outside any transaction and without a time limit, for what PostgreSQL refuses inside one."""
        with self._connection(None) as connection:
            connection.autocommit = True
            try:
                cursor = connection.cursor()
                cursor.execute("SELECT set_config('search_path', %s, false)", (self.search_path,))
                yield cursor
            finally:
                if not connection.closed:
                    connection.autocommit = False

    @contextmanager
    def _connection(self, seconds: float | None) -> Iterator[psycopg.Connection]:
        late = threading.Event()
        if not self._free.acquire(timeout=seconds or SECONDS_TO_ANSWER):
            raise UnveilError(f"the store at {self.where} is too busy: {MOST_CONNECTIONS} connections are in use")
        try:
            connection = self._take()
            try:
                with _deadline(connection, seconds, late):
                    yield connection
            except self._psycopg.Error as e:
                raise self._explained(e, seconds, late.is_set()) from e
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def _take(self) -> psycopg.Connection:
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection = self._idle.pop()
            # An idle connection has nothing to read, unless the server said goodbye.
            if not select.select([connection.fileno()], [], [], 0)[0]:
                return connection
            connection.close()
        try:
            return self._connect()
        except self._psycopg.Error:
            self._dsn = self._address()
        try:
            return self._connect()
        except self._psycopg.Error as e:
            raise UnveilError(
                f"the store at {self.where} cannot be reached: {str(e).strip()}; is its server running, and are the "
                "address and the password right?"
            ) from e

    def _connect(self) -> psycopg.Connection:
        return self._psycopg.connect(self._dsn, connect_timeout=SECONDS_TO_CONNECT, prepare_threshold=None)

    def _give_back(self, connection: psycopg.Connection) -> None:
        if connection.closed or connection.info.transaction_status != self._psycopg.pq.TransactionStatus.IDLE:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def _explained(self, e: psycopg.Error, seconds: float | None, late: bool) -> UnveilError:
        errors = self._psycopg.errors
        said = str(e).strip()
        if late or isinstance(e, (errors.QueryCanceled, errors.LockNotAvailable)):
            return UnveilError(
                f"the store at {self.where} did not answer within {seconds or SECONDS_TO_ANSWER:g} s: nothing of "
                "this step was kept; try again when it has less to do"
            )
        if isinstance(e, errors.DiskFull):
            return UnveilError(
                f"the disk of the store at {self.where} is full ({said}): nothing of this step was kept; free some "
                "space and run it again"
            )
        if isinstance(e, self._psycopg.OperationalError):
            return UnveilError(
                f"the store at {self.where} went away in the middle of a step ({said}): nothing of this step was "
                "kept; run it again when its server is up"
            )
        return UnveilError(f"the store at {self.where} refused a step: {said}")


@contextmanager
def _deadline(connection: Any, seconds: float | None, late: threading.Event) -> Iterator[None]:
    """Cut the connection when the block takes too long: a stopped server keeps a client waiting for ever."""
    if seconds is None:
        yield
        return

    def cut() -> None:
        late.set()
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    # The server's own limit comes first; this one is for a server that does not even answer that.
    timer = threading.Timer(seconds + 1, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
