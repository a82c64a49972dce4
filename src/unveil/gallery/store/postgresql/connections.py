"""Connections to PostgreSQL: shared between threads, with a time limit, and one clear error for whatever goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unveil.errors import MissingExtraError, UnveilError
from unveil.gallery.store.postgresql.watch import WATCH

if TYPE_CHECKING:
    import psycopg

SECONDS_TO_CONNECT = 5
SECONDS_TO_ANSWER = 60.0
MAX_CONNECTIONS = 16
# Compiling a query costs more than any of these queries does.
SET = (
    "SELECT set_config('search_path', %s, false), set_config('statement_timeout', %s, false), "
    "set_config('jit', 'off', false)"
)


@dataclass
class _Held:
    """A connection, and the search path and time limit (ms) that it was given last."""

    connection: psycopg.Connection
    settings: tuple[str, str] = ("", "")


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
        self._watch = WATCH
        self._psycopg = psycopg
        self._address = address
        self._dsn = address()
        self.seconds = seconds
        self.search_path = "unveil, public"
        self._idle: list[_Held] = []
        self._closed = False
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)

    @property
    def where(self) -> str:
        """Where the server is, without the password."""
        try:
            parts = self._psycopg.conninfo.conninfo_to_dict(self._dsn)
        except self._psycopg.Error:
            return "the address given"
        return f"{parts.get('host', 'localhost')}/{parts.get('dbname', '')}"

    def close(self) -> None:
        """Close all connections; those in use when they are given back."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for held in idle:
            held.connection.close()

    @contextmanager
    def transaction(self, seconds: float | None = None) -> Iterator[psycopg.Cursor]:
        """Give a cursor in a transaction that is kept when the block ends well.

        Args:
            seconds: time limit; the store's own by default.

        Raises:
            UnveilError: the server is down, too slow, full or refuses; the transaction is kept whole or not at all.
        """
        with self._connection("BEGIN", {}, seconds=seconds or self.seconds) as cursor:
            yield cursor
            cursor.execute("COMMIT")

    @contextmanager
    def reading(self, first: str, values: Mapping[str, Any] | None = None) -> Iterator[psycopg.Cursor]:
        """Give a cursor that has executed a first statement, outside a transaction: fewer ways to the server and back.

        Raises:
            UnveilError: the server is down, too slow or refuses.
        """
        with self._connection(first, values or {}, seconds=self.seconds) as cursor:
            yield cursor

    @contextmanager
    def outside(self) -> Iterator[psycopg.Cursor]:
        """Give a cursor outside any transaction and without a time limit, for what PostgreSQL refuses inside one."""
        with self._connection("SELECT 1", {}, seconds=None) as cursor:
            yield cursor

    @contextmanager
    def _connection(self, first: str, values: Mapping[str, Any], *, seconds: float | None) -> Iterator[psycopg.Cursor]:
        late = threading.Event()
        if not self._free.acquire(timeout=seconds or SECONDS_TO_ANSWER):
            raise UnveilError(f"the store at {self.where} is too busy: {MAX_CONNECTIONS} connections are in use")
        held = None
        try:
            while True:
                held, used = self._take()
                with self._watch.deadline(held.connection, seconds, late=late):
                    try:
                        self._set(held, f"{1000 * (seconds or 0):.0f}")
                        cursor = held.connection.cursor()
                        cursor.execute(first, values)
                    except self._psycopg.OperationalError:
                        # The server of an idle connection may have been killed since; a new one tells.
                        if not used or late.is_set() or not held.connection.closed:
                            raise
                        continue
                    yield cursor
                return
        except self._psycopg.Error as e:
            raise self._explained(e, seconds, late=late.is_set()) from e
        finally:
            if held is not None:
                self._give_back(held)
            self._free.release()

    def _set(self, held: _Held, milliseconds: str) -> None:
        """Set search path and time limit where they are not what they should be."""
        settings = (self.search_path, milliseconds)
        if held.settings != settings:
            held.connection.execute(SET, settings)
            held.settings = settings

    def _take(self) -> tuple[_Held, bool]:
        """Return a connection, and whether it was used before."""
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
        try:
            return self._connect(), False
        except self._psycopg.Error:
            self._dsn = self._address()
        try:
            return self._connect(), False
        except self._psycopg.Error as e:
            raise UnveilError(
                f"the store at {self.where} cannot be reached: {str(e).strip()}; is its server running, and are the "
                "address and the password right?"
            ) from e

    def _connect(self) -> _Held:
        connection = self._psycopg.connect(
            self._dsn, connect_timeout=SECONDS_TO_CONNECT, prepare_threshold=None, autocommit=True
        )
        return _Held(connection)

    def _give_back(self, held: _Held) -> None:
        status = self._psycopg.pq.TransactionStatus
        connection = held.connection
        if not connection.closed and connection.info.transaction_status in (status.INTRANS, status.INERROR):
            with suppress(self._psycopg.Error):
                connection.execute("ROLLBACK")
        sound = not connection.closed and connection.info.transaction_status == status.IDLE
        with self._lock:
            if sound and not self._closed:
                self._idle.append(held)
                return
        connection.close()

    def _explained(self, e: psycopg.Error, seconds: float | None, *, late: bool) -> UnveilError:
        errors = self._psycopg.errors
        said = str(e).strip()
        again = "a step is kept whole or not at all"
        if late or isinstance(e, (errors.QueryCanceled, errors.LockNotAvailable)):
            return UnveilError(
                f"the store at {self.where} did not answer within {seconds or SECONDS_TO_ANSWER:g} s: {again}; try "
                "again when it has less to do"
            )
        if isinstance(e, errors.ReadOnlySqlTransaction):
            return UnveilError("this store was opened to be read only: nothing in it can be changed")
        if isinstance(e, errors.DiskFull):
            return UnveilError(
                f"the disk of the store at {self.where} is full ({said}): nothing of this step was kept; free some "
                "space and run it again"
            )
        if isinstance(e, self._psycopg.OperationalError):
            return UnveilError(
                f"the store at {self.where} went away in the middle of a step ({said}): {again}; run it again when "
                "its server is up"
            )
        return UnveilError(f"the store at {self.where} refused a step: {said}")
