"""Words of a command that hold a user's path: the path is taken as it is, whatever characters are in its name.

``name:root?option=value``, several of them parted by commas, and ``key=value``: where a file or folder has "?", "," or
"=" in its name, what is on the disk decides.
"""

from __future__ import annotations

import re
from pathlib import Path


def root_and_options(text: str) -> tuple[str, str]:
    """Part ``root?option=value``: a "?" belongs to the root where there is such a file or folder."""
    marks = [n for n, character in enumerate(text) if character == "?"]
    for end in (len(text), *reversed(marks)):
        if exists(text[:end]):
            return text[:end], text[end + 1 :]
    root, _, options = text.partition("?")
    return root, options


def sources_in(text: str) -> list[str]:
    """Part sources at their commas: one that belongs to the name of a file or folder parts nothing."""
    parts = text.split(",")
    found = []
    while parts:
        taken = next((n for n in range(len(parts), 1, -1) if _is_one(parts[:n])), 1)
        if source := ",".join(parts[:taken]).lstrip():
            found.append(source)
        parts = parts[taken:]
    return found


def is_override(text: str) -> bool:
    """Return whether a word of a command changes the recipe (``key=value``) and names no file."""
    return re.match(r"\w+(\.\w+)*=", text) is not None and not exists(text)


def exists(path: str) -> bool:
    """Return whether there is a file or folder of that name; a text that can be no name is none."""
    try:
        return bool(path) and Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, no home
        return False


def _is_one(parts: list[str]) -> bool:
    """Whether parts are one source, whose root reaches into the last of them."""
    root, _ = root_and_options(_after_name(parts))
    return exists(root) and len(root) > len(_after_name(parts[:-1]))


def _after_name(parts: list[str]) -> str:
    return ",".join(parts).partition(":")[2]
