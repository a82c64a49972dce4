"""The audit log: who searched for whom, why, and what was found, in a chain of hashes that shows any change.

An entry's hash covers its text and the hash of the entry before it. Changing, removing or swapping entries breaks the
chain. Whoever can write the database can also forge a whole new chain; against that, note a hash elsewhere from time
to time: `wrong` says whether the chain still has it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unveil.errors import DataError, UnveilError

START = "0" * 64
FIELDS = ("who", "role", "action", "why", "gallery", "query", "results", "details")
NEEDED = ("who", "action")
MAX_BYTES = 100_000
NO_LOGIN = 2**32 - 1
CLOCK_SECONDS = 1.0  # that clocks of two machines may differ by, or be set back by a time server


def user() -> str:
    """Return who runs this process, for the log: as the system knows it, whatever the environment says.

    Where somebody signed in as one account and works as another (``sudo``), both are named.
    """
    try:
        import pwd
    except ImportError:  # there, the environment is not asked either
        return os.getlogin()
    real = os.getuid()
    who = f"{_account(real, pwd)} (uid {real})"
    with contextlib.suppress(OSError, ValueError):
        signed_in = int(Path("/proc/self/loginuid").read_text())
        if signed_in not in (real, NO_LOGIN):
            who = f"{who[:-1]}, signed in as {_account(signed_in, pwd)}, uid {signed_in})"
    return who


def _account(number: int, pwd: Any) -> str:
    try:
        return str(pwd.getpwuid(number).pw_name)
    except KeyError:
        return "unknown"


@contextlib.contextmanager
def audited(log: Callable[[Mapping[str, Any]], str], entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Enter what is about to be done, and how it ended: what cannot be entered is not begun.

    A process that is killed in between, or a disk that is full, leaves the first entry: it says that rows may have
    changed, and no second one says how many.

    Args:
        log: appends an entry, as `Store.log` does.
        entry: see `checked`; its details get "state": "begun", "done" or "failed", and "begun": hash of the first.

    Yields:
        Details of the outcome, to be filled in.

    Raises:
        UnveilError: the entry cannot be made.
    """
    details = dict(entry.get("details") or {})
    begun = log({**entry, "details": {**details, "state": "begun"}})
    outcome: dict[str, Any] = {}
    try:
        yield outcome
    except BaseException as e:
        with contextlib.suppress(UnveilError):
            failed = {"state": "failed", "error": type(e).__name__, "begun": begun}
            log({**entry, "details": {**details, **outcome, **failed}})
        raise
    log({**entry, "details": {**details, **outcome, "state": "done", "begun": begun}})


@dataclass(frozen=True)
class Link:
    """One entry as it is stored: number from 1, JSON text, hash of the entry before, hash of this one."""

    number: int
    text: str
    previous: str
    hash: str

    def entry(self) -> dict[str, Any]:
        """Return the fields, with "number" and "time" (seconds since the epoch)."""
        return dict(json.loads(self.text))


def checked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an entry that are given.

    Args:
        entry: "who" and "action" (needed), "role", "why", "gallery", "query" (hash of the query), "results" (ids of
            rows), "details" (anything else that JSON can hold).

    Raises:
        DataError: a field is unknown or missing, or the entry is too long or no JSON.
    """
    unknown = sorted(set(entry) - set(FIELDS))
    missing = [name for name in NEEDED if not entry.get(name)]
    if unknown or missing:
        raise DataError(
            f"an audit entry needs {' and '.join(NEEDED)} and may have {', '.join(FIELDS)}; "
            f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}"
        )
    fields = {name: entry[name] for name in FIELDS if entry.get(name) is not None}
    if "results" in fields:
        fields["results"] = [int(number) for number in fields["results"]]
    try:
        size = len(_text(fields))
    except (TypeError, ValueError) as e:
        raise DataError(f"an audit entry must be JSON: {e}") from e
    if size > MAX_BYTES:
        raise DataError(f"an audit entry has at most {MAX_BYTES} bytes, got {size}")
    return fields


def sealed(fields: Mapping[str, Any], number: int, *, time: float, previous: str) -> Link:
    """Return an entry as the next link of the chain."""
    text = _text({**fields, "number": number, "time": round(time, 3)})
    return Link(number, text, previous, _hash(previous, text))


def note(number: int, hash: str, *, time: float) -> str:
    """Return the end of the log as a line of JSON, to be kept elsewhere."""
    return json.dumps({"time": round(time, 3), "number": number, "hash": hash})


def append_note(path: Path, line: str) -> None:
    """Append a line to a file, and wait until the disk has it.

    Raises:
        UnveilError: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as e:
        raise UnveilError(f"cannot write {path}: {e.strerror or e}") from e


def read_notes(path: Path) -> list[tuple[int | None, str]]:
    """Return number and hash of every line of a file of notes.

    Raises:
        DataError: it cannot be read, or a line is no note.
    """
    notes: list[tuple[int | None, str]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        for found in (json.loads(line) for line in lines if line.strip()):
            notes.append((int(found["number"]), str(found["hash"])))
    except OSError as e:
        raise DataError(f"{path} cannot be read: {e.strerror or e}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f'{path}: after {len(notes)} notes comes a line that is none; expected {{"number": ..., "hash": ...}}'
        ) from None
    return notes


def wrong(
    links: Iterable[Link], head: tuple[int, str] | None = None, *, noted: Iterable[tuple[int | None, str]] = ()
) -> list[str]:
    """Return one sentence for every break in the chain; empty when it is whole.

    Args:
        links: the whole log in order.
        head: number and hash that the last entry must have.
        noted: hashes noted elsewhere that must be in the chain, with the number of their entry where it is known.
    """
    said, last, number, latest = [], START, 0, 0.0
    wanted = {hash: at for at, hash in noted if hash != START}
    for link in links:
        if link.number != number + 1:
            said.append(f"after entry {number} comes entry {link.number}: entries were removed, added or reordered")
        elif link.previous != last:
            said.append(f"entry {link.number} does not follow entry {number}: one of them was changed or replaced")
        if broken := altered(link):
            said += broken
        else:
            time = float(link.entry().get("time", latest))
            if time < latest - CLOCK_SECONDS:
                said.append(
                    f"entry {link.number} is of {_date(time)}, one before it of {_date(latest)}: the clock ran "
                    "backwards"
                )
            latest = max(latest, time)
        number, last = link.number, link.hash
        if wanted.pop(link.hash, link.number) not in (None, link.number):
            said.append(f"the noted hash {link.hash} is that of entry {link.number}, not of the one that was noted")
    if head is not None and head != (number, last):
        said.append(f"the log ends with entry {number}, it should end with entry {head[0]}: its end was changed")
    said += [f"no entry has the noted hash {hash}: the log was written anew" for hash in wanted]
    return said


def altered(link: Link) -> list[str]:
    """Return what is wrong with one entry by itself: its text has another hash, or another number."""
    if link.hash != _hash(link.previous, link.text):
        return [f"entry {link.number} was altered: its text has another hash"]
    if link.entry().get("number") != link.number:
        return [f"entry {link.number} was moved: its text says number {link.entry().get('number')}"]
    return []


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _hash(previous: str, text: str) -> str:
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
