"""One job while it runs: its record, how it is paused and cancelled, and what is noted of it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from unveil.gallery.ingest.adding import Added
from unveil.server.ingest.records import Job

MAX_ERRORS = 200


class CancelledError(Exception):
    """Somebody cancelled the job."""


class RunningJob:
    """A job and its controls; every change of the record is made under the lock of all jobs.

    Args:
        job: the record as it is at the start.
        place: path of the source, or the address of a stream.
        role: of the caller who submitted it, for the audit log.
        lock: held while the record changes.
    """

    def __init__(self, job: Job, place: Path | str, *, role: str, lock: threading.Condition) -> None:
        self.job, self.place, self.role = job, place, role
        self.resume = threading.Event()
        self.resume.set()
        self.cancelled = False
        self._lock = lock

    def cancel(self) -> None:
        """End the job before its next frame or batch, or while it waits for a stream."""
        self.cancelled = True
        self.resume.set()

    def change(self, **changes: Any) -> None:
        """Replace fields of the record."""
        with self._lock:
            self.job = replace(self.job, **changes)

    def step(self, what: str, done: int, total: int | None) -> None:  # noqa: PLR0917 (as progress calls it)
        """Note how far the job is, wait while it is paused, and end it when it is cancelled.

        Raises:
            CancelledError: it was cancelled.
        """
        self.change(done=done, total=total)
        self.resume.wait()
        if self.cancelled:
            raise CancelledError

    def count(self, crops: int, tracklets: int) -> None:
        """Add what one write added to the figures of the record."""
        self.change(crops=self.job.crops + crops, tracklets=self.job.tracklets + tracklets)

    def close_count(self, added: Added) -> None:
        """Note what is said of a source at its end; its rows were counted as they were written."""
        self.change(known=self.job.known + added.known, notes=(*self.job.notes, *added.notes))
        self.note(added.bad)

    def note(self, lines: Iterable[str]) -> None:
        """Keep a line for each file that could not be read; of many the first ``MAX_ERRORS``."""
        errors = (*self.job.errors, *lines)
        more = self.job.more_errors + max(0, len(errors) - MAX_ERRORS)
        self.change(errors=errors[:MAX_ERRORS], more_errors=more)
