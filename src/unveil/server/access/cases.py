"""Who may open which case, and the audit entries for what is done with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import HTTPException

from unveil.errors import DataError
from unveil.gallery.case_records import Case, CaseSummary
from unveil.gallery.cases.log import case_entries, entry
from unveil.gallery.store.protocol import Store
from unveil.server.access.tokens import Caller

AGAIN_SECONDS = 300.0  # after which looking at an open case is entered again


class CaseAccess:
    """The cases of a server's store, as callers may see them; safe to share between threads.

    A case is open to its creator, its members and admins. What of it is about galleries that are not open to a caller
    is hidden from him.

    Args:
        store: where the cases are.
        served: names of the galleries that the server serves; all when empty.
        clock: seconds, never going back.
    """

    def __init__(self, store: Store, served: Sequence[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._served = served
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, int], float] = {}

    def all(self, caller: Caller) -> list[CaseSummary]:
        """Return the cases that are open to a caller."""
        return [case for case in self._store.cases.all() if _may_open(case, caller)]

    def find(self, case: int, caller: Caller) -> tuple[Case, int]:
        """Return what of a case a caller may see, and how many searches and bookmarks he may not; 404 for no case."""
        return self.whole(case, caller).part(self.open_to(caller))

    def whole(self, case: int, caller: Caller) -> Case:
        """Return all of a case that a caller may open, with what is to be hidden from him; 404 for no case."""
        try:
            found = self._store.cases.get(case)
        except DataError:
            found = None
        if found is None or not _may_open(found, caller):
            raise HTTPException(404, f"no case {case} here")
        return found

    def open_to(self, caller: Caller) -> Callable[[str], bool]:
        """Return what says whether a gallery of a name is served, and open to a caller."""
        return lambda name: caller.may_see(name) and (not self._served or name in self._served)

    def owned(self, case: int, caller: Caller) -> Case:
        """Return a case that a caller may give to others or remove; 403 where he may not."""
        found, _ = self.find(case, caller)
        if not is_owner(found, caller):
            raise HTTPException(403, f"this needs {found.creator}, who opened the case, or an admin")
        return found

    def opened(self, case: Case, caller: Caller) -> None:
        """Enter that a caller looks at a case and the rows in it, before it is shown; for some minutes once."""
        key = (caller.name, case.id)
        with self._lock:
            now = self._clock()
            self._opened = {k: at for k, at in self._opened.items() if now - at < AGAIN_SECONDS}
            if key in self._opened:
                return
            for told in case_entries(case, "open", who=caller.name, role=caller.role, rows=True):
                self._store.log(told)
            self._opened[key] = now

    def log(
        self,
        case: int,
        caller: Caller,
        *,
        what: str,
        gallery: str | None = None,
        rows: Sequence[int] = (),
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Enter something done with a case."""
        who, role = caller.name, caller.role
        self._store.log(entry(case, what, gallery=gallery, who=who, role=role, rows=rows, details=details))


def is_owner(case: Case | CaseSummary, caller: Caller) -> bool:
    """Return whether a caller may name members of a case and remove it."""
    return caller.name == case.creator or caller.may("admin")


def _may_open(case: Case | CaseSummary, caller: Caller) -> bool:
    return is_owner(case, caller) or caller.name in case.members
