"""The audit log: who searched for whom, why, and what was found, in a chain of hashes that shows any change.

An entry's hash covers its text and the hash of the entry before it. Changing, removing or swapping entries breaks the
chain. Whoever can write the database can also forge a whole new chain; against that, note a hash elsewhere from time
to time: `wrong` says whether the chain still has it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from unveil.errors import DataError

START = "0" * 64
FIELDS = ("who", "role", "action", "why", "gallery", "query", "results", "details")
NEEDED = ("who", "action")
MOST_BYTES = 100_000


def user() -> str:
    """Return who runs this process, for the log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


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
    if size > MOST_BYTES:
        raise DataError(f"an audit entry has at most {MOST_BYTES} bytes, got {size}")
    return fields


def sealed(fields: Mapping[str, Any], number: int, time: float, previous: str) -> Link:
    """Return an entry as the next link of the chain."""
    text = _text({**fields, "number": number, "time": round(time, 3)})
    return Link(number, text, previous, _hash(previous, text))


def wrong(links: Iterable[Link], head: tuple[int, str] | None = None, noted: str | None = None) -> list[str]:
    """Return one sentence for every break in the chain; empty when it is whole.

    Args:
        links: the whole log in order.
        head: number and hash that the last entry must have.
        noted: a hash noted elsewhere that must be in the chain.
    """
    said, last, number, seen = [], START, 0, noted in (None, START)
    for link in links:
        if link.number != number + 1:
            said.append(f"after entry {number} comes entry {link.number}: entries were removed, added or reordered")
        elif link.previous != last:
            said.append(f"entry {link.number} does not follow entry {number}: one of them was changed or replaced")
        if link.hash != _hash(link.previous, link.text):
            said.append(f"entry {link.number} was altered: its text has another hash")
        elif link.entry().get("number") != link.number:
            said.append(f"entry {link.number} was moved: its text says number {link.entry().get('number')}")
        number, last = link.number, link.hash
        seen = seen or link.hash == noted
    if head is not None and head != (number, last):
        said.append(f"the log ends with entry {number}, it should end with entry {head[0]}: its end was changed")
    if not seen:
        said.append(f"no entry has the noted hash {noted}: the log was written anew")
    return said


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _hash(previous: str, text: str) -> str:
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
