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
        """End the job before its next frame or batch."""
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

    def count(self, added: Added) -> None:
        """Add what a source gave to the figures of the record."""
        job = self.job
        self.change(
            crops=job.crops + added.crops, tracklets=job.tracklets + added.tracklets, known=job.known + added.known,
            notes=(*job.notes, *added.notes),
        )  # fmt: skip
        self.note(added.bad)

    def note(self, lines: Iterable[str]) -> None:
        """Keep a line for each file that could not be read; of many the first ``MAX_ERRORS``."""
        errors = (*self.job.errors, *lines)
        more = self.job.more_errors + max(0, len(errors) - MAX_ERRORS)
        self.change(errors=errors[:MAX_ERRORS], more_errors=more)
